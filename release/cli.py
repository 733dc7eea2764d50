"""The command line: `python -m release`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from aichat_workspace.domain.models.name import DEFAULT_REGISTRY
from localcluster.errors import LocalClusterError
from localcluster.paths import PROJECT
from localcluster.processes import foreground
from localcluster.progress import reporting
from release import contract, debian, source
from release import licences as licences_page
from release.advisories import ACCEPTED, judge, read_accepted
from release.build import Options
from release.build import build as build_release
from release.bundle.assembling import ARCHITECTURES, assemble
from release.bundle.assembling import Options as BundleOptions

app = typer.Typer(help="Build and check releases.", no_args_is_help=True, add_completion=False)
_TARGET: Final = PROJECT / "build" / "release"
_BUNDLE: Final = PROJECT / "build" / "bundle"
_DEFAULTS: Final = Options()


@app.command()
def build(
    version: Annotated[str, typer.Argument(help="MAJOR.MINOR.PATCH, as pyproject.toml has it")],
    image: Annotated[
        str, typer.Option(help="Where the image will be: registry and name, without a tag.")
    ] = _DEFAULTS.image,
    builder: Annotated[
        str, typer.Option(help="The URI of who builds it, for the provenance.")
    ] = _DEFAULTS.builder,
    target: Annotated[Path, typer.Option(help="The folder of the release.")] = _TARGET,
) -> None:
    """Build all files of a release of the current commit."""
    options = Options(image, builder or _DEFAULTS.builder)
    released = source.check(PROJECT, version)
    contract.check(PROJECT, version)
    with reporting() as report:
        files = build_release(released, options, target, report)
    for path in files:
        print(f"{path.stat().st_size / 10**6:9.3f} MB  {path}")


@app.command()
def freeze(
    version: Annotated[str, typer.Argument(help="MAJOR.MINOR.PATCH, as pyproject.toml has it")],
    again: Annotated[
        bool, typer.Option("--again", help="Replace what the version promised before it was out.")
    ] = False,
) -> None:
    """Write what a version promises, for later ones to be checked against."""
    print(f"wrote {contract.freeze(PROJECT, version, again=again).relative_to(PROJECT)}")


@app.command("bundle")
def write_bundle(
    version: Annotated[str, typer.Argument(help="The release's, as MAJOR.MINOR.PATCH.")],
    models: Annotated[str, typer.Option(help="Ollama's names, with commas between.")],
    images: Annotated[
        str,
        typer.Option(
            help="Where images come from, with commas between: folders of OCI archives, and a "
            "registry with a path that replaces the images' own."
        ),
    ] = "",
    architectures: Annotated[
        str, typer.Option(help="Of processors, with commas between.")
    ] = ",".join(ARCHITECTURES),
    further_images: Annotated[
        str, typer.Option(help="Images besides the platform's defaults, with commas between.")
    ] = "",
    model_registry: Annotated[
        str, typer.Option(help="Where models come from that name no registry.")
    ] = DEFAULT_REGISTRY,
    authorities: Annotated[
        Path | None,
        typer.Option(
            "--ca", help="A PEM file of authorities that are trusted besides.", exists=True
        ),
    ] = None,
    release: Annotated[Path, typer.Option(help="The folder of the release.")] = _TARGET,
    target: Annotated[Path, typer.Option(help="The folder of the bundle.")] = _BUNDLE,
) -> None:
    """Write a release, the images of workspaces and models into one file for a site without
    internet."""
    options = BundleOptions(
        version,
        release,
        _words(models),
        _words(architectures),
        _words(images),
        _words(further_images),
        model_registry,
        authorities,
    )
    path = target / f"aichat-workspace-bundle-{version}.tar"
    with reporting() as report:
        digest = assemble(options, path, report)
    path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
    print(f"{path.stat().st_size / 10**6:9.3f} MB  {path}")


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


@app.command("lock")
def lock_debian() -> None:
    """Lock the newest versions of the image's Debian packages."""
    with reporting() as report:
        debian.lock(report)
    print(f"wrote {debian.LOCK.relative_to(PROJECT)}")


@app.command()
def licences(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if stale.")] = False,
) -> None:
    """Write the page of all licences, and refuse those that may not be passed on."""
    if not licences_page.write(check=check):
        if check:
            raise LocalClusterError(f"{licences_page.PAGE} is stale: run `make generate`")
        print(f"wrote {licences_page.PAGE}")


@app.command()
def advisories(
    report: Annotated[Path, typer.Argument(exists=True, help="pip-audit's, as JSON")],
    required: Annotated[
        str, typer.Option(envvar="ADVISORIES", help="`required`: fail where there are none.")
    ] = "",
) -> None:
    """Judge a report on the vulnerabilities of packages."""
    today = datetime.now(UTC).date()
    accepted = read_accepted(ACCEPTED)
    print(judge(report.read_text(), accepted, today, required=required == "required"))


def main() -> None:
    """Run a command; exit with 1 and a message that says what to change."""
    foreground.run_app(app)
