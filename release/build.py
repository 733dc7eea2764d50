"""Build all files of a release into one folder, which appears when it is complete."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aichat_workspace.domain import names
from localcluster.build.images.oci import digest_file
from localcluster.errors import CommandFailedError
from localcluster.processes import foreground
from localcluster.progress import Report
from release import chart, image, licences, manifest, provenance, python_packages, sbom
from release.source import Source, export

SUMS: Final = "SHA256SUMS"
PROVENANCE: Final = "provenance.intoto.json"


@dataclass(frozen=True)
class Options:
    """What a release is built for."""

    image: str = ""
    """Where the image will be, without a tag; empty if everyone pushes it to their own registry."""
    builder: str = "https://aichatworkspaces.io/release/by-hand"
    """The URI of who builds it."""

    def repository(self) -> str:
        """Return the image's name in the manifests."""
        return self.image or names.OPERATOR

    def archive_name(self, version: str) -> str:
        """Return the image's full name in the archives."""
        return f"{self.image or f'docker.io/library/{names.OPERATOR}'}:v{version}"


def build(source: Source, options: Options, target: Path, report: Report) -> list[Path]:
    """Build a release into ``target``, in place of an older one, and return its files.

    Raises:
        ReleaseError: two builds differ, or something in it may not be passed on.
        CommandFailedError: a part can't be had or built; a retry helps when it was the network.
    """
    with _folder(target.parent) as scratch:
        tree = export(source, scratch / "tree")
        files = scratch / "release"
        files.mkdir()
        cache = scratch / "cache"  # this machine's could have been changed since the hashes' check
        _packages(tree, source, files, cache, report)
        (wheel,) = files.glob("*.whl")
        name = options.archive_name(source.version)
        images = image.build(source, wheel, name, scratch / "images", cache, report)
        report("release", "writing its other files")
        _boms(source, images, scratch / "images" / "first", files)
        for archive in (*images.by_architecture.values(), images.everywhere):
            archive.archive.rename(files / archive.archive.name)
        # By its digest where it is known where the image will be: a tag can be moved.
        digest = images.everywhere.digest if options.image else ""
        _manifests(tree, source, options, digest, files)
        (files / "CHANGES.md").write_text(source.notes)
        (files / "LICENCES.md").write_text(licences.page())
        subjects = sums(files) | {name: images.everywhere.digest.removeprefix("sha256:")}
        (files / PROVENANCE).write_text(
            provenance.statement(source, options.repository(), subjects, options.builder)
        )
        (files / SUMS).write_text(
            "".join(f"{digest}  {name}\n" for name, digest in sums(files).items())
        )
        shutil.rmtree(target, ignore_errors=True)
        files.rename(target)
    return sorted(target.iterdir())


def sums(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file in a folder, by its name."""
    return {
        path.name: digest_file(path).removeprefix("sha256:") for path in sorted(folder.iterdir())
    }


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="release-", dir=parent))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


def _packages(tree: Path, source: Source, files: Path, cache: Path, report: Report) -> None:
    """Build the wheel and the source archive, with the commit's time as that of all files.

    What builds them is installed for it by the hashes of its lock.
    """
    report("release", "building the wheel and the source archive")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source.time)}
    command: list[str | Path] = [sys.executable, "-m", "uv", "build", "--quiet"]
    command += ["--build-constraints", tree / "requirements" / "build.txt", "--require-hashes"]
    command += ["--cache-dir", cache, "--python", sys.executable, "--out-dir", files, tree]
    result = foreground.run(command, environment=environment)
    if result.returncode:
        raise CommandFailedError(f"uv build failed:\n{result.stderr[-2000:]}")
    (files / ".gitignore").unlink(missing_ok=True)


def _boms(source: Source, images: image.Images, roots: Path, files: Path) -> None:
    for architecture, built in images.by_architecture.items():
        distributions = [
            information
            for layer in ("packages", "product")
            for information in (
                roots / architecture / layer / python_packages.PACKAGES_FOLDER
            ).glob("*.dist-info")
        ]
        text = sbom.document(source, built, architecture, distributions)
        (files / f"{names.OPERATOR}-{source.version}-{architecture}.cdx.json").write_text(text)


def _manifests(tree: Path, source: Source, options: Options, digest: str, files: Path) -> None:
    """Write the chart's package and the single file of the installation."""
    folder = tree / "charts" / names.OPERATOR
    own_image = f"{options.repository()}:v{source.version}"
    if options.image:
        chart.set_image(folder / "values.yaml", options.image, digest)
        own_image = f"{options.image}@{digest}"
    chart.annotate(folder / "Chart.yaml", chart.changes(source.notes), own_image)
    chart.package(folder, files / f"{names.OPERATOR}-{source.version}.tgz", source.time)
    text = manifest.install_yaml(tree, options.repository(), source.version, digest)
    (files / "install.yaml").write_text(text)
