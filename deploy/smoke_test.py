"""Run config/smoke-test/smoke_test.py against the API that was deployed."""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import yaml

from aichat_workspace.domain import names
from deploy.environment import Environment
from deploy.errors import DeploymentFailedError, RefusedError
from deploy.kubectl import Kubectl
from localcluster.processes import foreground
from localcluster.progress import Report

FOLDER: Final = Path("config/smoke-test")
TEAM: Final = names.SMOKE_TESTS_TEAM
_ACCOUNT: Final = "smoke-test"
_AUDIENCE: Final = "aichat-workspace-api"
_LAST_LINES: Final = 30
# Two deletions, and the model's reply.
_OTHER_STEPS_SECONDS: Final = 900


def check_programs() -> None:
    """Check that the test can be run here.

    Raises:
        RefusedError: it can't.
    """
    if shutil.which("aichatctl") is None:
        raise RefusedError("aichatctl is not in PATH: make deploy brings it; or pip install .")


def run(
    kubectl: Kubectl,
    environment: Environment,
    report: Report,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Create a workspace, ask its model, delete it; all in a team of its own.

    `check` is called every ten seconds, and may raise.

    Raises:
        KubectlError: kubectl failed.
        DeploymentFailedError: it failed; the message is the end of its output.
    """
    report("smoke test", "its team and a token")
    team = [*yaml.safe_load_all((FOLDER / "team" / "team.yaml").read_text())]
    kubectl.apply(team)
    report("smoke test", "what an interrupted one may have left")
    _remove_workspaces(kubectl)
    seconds = round(environment.smokeTestSeconds)
    duration = f"--duration={2 * _OTHER_STEPS_SECONDS + seconds}s"
    token = kubectl.run("create", "token", _ACCOUNT, "-n", TEAM, "--audience", _AUDIENCE, duration)
    with _address(kubectl, environment) as address, TemporaryDirectory() as folder:
        variables = {
            "AICHAT_SERVER": address,
            "AICHAT_TOKEN": token.strip(),
            "AICHAT_CONFIG": f"{folder}/config.yaml",  # not the person's
            "TIMEOUT": f"{seconds}s",
        }
        _run(environment, {**os.environ, **variables}, Path(folder) / "log", report, check)
    _remove_workspaces(kubectl)


def _run(
    environment: Environment,
    variables: Mapping[str, str],
    log: Path,
    report: Report,
    check: Callable[[], None],
) -> None:
    seconds = environment.smokeTestSeconds + _OTHER_STEPS_SECONDS
    deadline = time.monotonic() + seconds

    def on_tick() -> None:
        check()
        report("smoke test", (_lines(log) or ["begins"])[-1])
        if time.monotonic() > deadline:
            raise DeploymentFailedError(
                f"the smoke test has not ended after {seconds:.0f} s:\n{_end(log)}"
            )

    report("smoke test", f"a workspace with {environment.model}")
    script = [sys.executable, str(FOLDER.absolute() / "smoke_test.py"), environment.model]
    with log.open("wb") as out:
        code = foreground.run_with_progress(script, out, on_tick, environment=variables)
    if code:
        raise DeploymentFailedError(f"the smoke test has failed:\n{_end(log)}")
    report("smoke test", _lines(log)[-1] if _lines(log) else "passed")


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").strip().splitlines()


def _end(log: Path) -> str:
    return "\n".join(f"  {line}" for line in _lines(log)[-_LAST_LINES:])


@contextmanager
def _address(kubectl: Kubectl, environment: Environment) -> Iterator[str]:
    """Give the API's address, by a port-forward if the environment names none."""
    if environment.api:
        yield environment.api
        return
    forward = ("port-forward", "-n", names.SYSTEM_NAMESPACE, f"service/{names.API}", ":80")
    with kubectl.background(*forward) as process:
        line = process.stdout.readline() if process.stdout else ""
        port = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) ", line)
        if port is None:
            raise DeploymentFailedError(
                f"no port-forward to the API: {line.strip() or 'it has ended'}"
            )
        yield f"http://127.0.0.1:{port[1]}"


def _remove_workspaces(kubectl: Kubectl) -> None:
    """Remove all of the test's team, also where the platform retains namespaces of deleted ones."""
    kind = f"aichatworkspaces.{names.GROUP}"
    kubectl.run("delete", kind, "--all", "-n", TEAM, "--timeout=100s")
    for namespace in kubectl.items("namespaces", "-l", names.MANAGED_SELECTOR):
        metadata = namespace["metadata"]
        annotations = metadata.get("annotations", {})
        owner = annotations.get(names.OWNER_ANNOTATION, "")
        if owner.startswith(f"{TEAM}/") and names.RETAINED_ANNOTATION in annotations:
            kubectl.run("delete", "namespace", metadata["name"], "--timeout=100s")
