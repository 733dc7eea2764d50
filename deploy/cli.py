"""The command line: `python -m deploy`; `make deploy` calls it."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml

from deploy import rollout, smoke_test
from deploy.checks import check_cluster, check_context
from deploy.deployment import Deployment
from deploy.environment import FOLDER, Environment, load
from deploy.errors import RefusedError
from deploy.kubectl import Kubectl, KubectlError
from deploy.lock import acquire
from deploy.manifests import Release, make_release
from localcluster.processes import foreground
from localcluster.progress import Report, reporting

_INTERRUPTED: Final = 130

app = typer.Typer(
    help="Deploy to an environment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Environments = Annotated[Path, typer.Option(help="The folder with a folder for each environment.")]


@app.command("to")
def to_environment(
    name: Annotated[str, typer.Argument(metavar="ENV", help="its folder's name")],
    folder: Environments = FOLDER,
    keep_crds: Annotated[
        bool, typer.Option("--keep-crds", help="Leave the CustomResourceDefinitions as they are.")
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="Go back to the last release that has passed.")
    ] = False,
) -> None:
    """Apply, wait, run the smoke test, and go back when it fails."""
    environment = load(name, folder)
    check_context(environment)
    smoke_test.check_programs()
    kubectl = Kubectl((f"--context={environment.context}",))
    with reporting() as report:
        try:
            release = _run(kubectl, environment, report, keep_crds=keep_crds, back=back)
        except KeyboardInterrupt:
            sys.stderr.write(_interrupted(name))
            sys.exit(_INTERRUPTED)
    print(f"{name} runs {release.name}, which has passed the smoke test")


def _run(
    kubectl: Kubectl, environment: Environment, report: Report, *, keep_crds: bool, back: bool
) -> Release:
    report("check", f"the cluster of the context {environment.context}")
    check_cluster(kubectl, environment)
    release = None if back else render(kubectl, environment)
    with acquire(kubectl, report) as lock:
        deployment = Deployment(kubectl, environment, lock, report)
        if release is None:
            return deployment.back()
        deployment.deploy(release, keep_crds=keep_crds)
        return release


def render(kubectl: Kubectl, environment: Environment) -> Release:
    """Build the environment's kustomization.

    Raises:
        RefusedError: it can't be built.
    """
    try:
        text = kubectl.run("kustomize", str(environment.folder))
    except KubectlError as error:
        raise RefusedError(f"{environment.folder} can't be built: {error}") from error
    return make_release(yaml.load_all(text, Loader=yaml.CSafeLoader))


def _interrupted(name: str) -> str:
    return (
        f"interrupted: {name} may run parts of two releases. Next: make deploy ENV={name} goes on, "
        f"and make deploy ENV={name} BACK=yes goes back to the last release that has passed\n"
    )


@app.command("wait")
def wait_for(
    deployments: Annotated[list[str], typer.Argument(help="in the operator's namespace")],
    seconds: Annotated[float, typer.Option(min=1, help="How long they may take.")] = 300,
) -> None:
    """Wait until Deployments are available, in the kubeconfig's current context."""
    with reporting() as report:
        rollout.wait(Kubectl(), deployments, seconds, report)


def main() -> None:
    foreground.run_app(app)
