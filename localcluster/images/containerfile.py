"""Building a Containerfile on the local base image, with buildah."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from localcluster.images import cache
from localcluster.images.base import ensure_base
from localcluster.images.oci import Image, pack_layout
from localcluster.images.package_index import mounts
from localcluster.images.run import follow
from localcluster.paths import cache_dir
from localcluster.progress import Report

_LOCAL_BASE: Final = "localhost/localcluster/base:1"


def build_containerfile(
    file: Path,
    context: Path,
    tag: str,
    build_args: Mapping[str, str],
    report: Report,
) -> Image:
    """Build ``file`` with ``context`` and name the result ``tag`` (a full image name).

    The build argument ``BASE`` is the local base image unless ``build_args`` names another. Layers
    are cached by buildah. Package indexes that the machine is set up for serve the build's
    ``pip`` and ``uv`` too, without a trace in the image.

    Raises:
        CommandFailedError: the build failed; the message ends with what it said last.
    """
    base = ensure_base(report)
    arguments = {"BASE": _load_base(base, report), **build_args}
    archive = cache_dir() / "images" / f"{cache.slug(tag)}.oci.tar"
    log = archive.with_suffix(".log")
    report(tag, "building")
    with tempfile.TemporaryDirectory() as folder:
        command = _build_command(file, context, tag, arguments, mounts(os.environ, Path(folder)))
        _buildah(command, log, lambda lines: report(tag, f"building, {lines} lines of output"))
    report(tag, "packing")
    with cache.scratch() as folder:
        _buildah(["push", "--disable-compression", tag, f"oci:{folder / 'layout'}"], log)
        return pack_layout(folder / "layout", tag, archive)


def _build_command(
    file: Path,
    context: Path,
    tag: str,
    arguments: Mapping[str, str],
    mounted: Sequence[str],
) -> list[str]:
    command = ["build", "--isolation=chroot", "--layers", "--format=oci", "--pull-never"]
    command += ["--timestamp=0", f"--tag={tag}", f"--file={file}"]
    command += [f"--build-arg={name}={value}" for name, value in sorted(arguments.items())]
    return [*command, *(f"--volume={each}" for each in mounted), str(context)]


def _load_base(base: Image, report: Report) -> str:
    """Give buildah our base image, once for each version of it; returns its name there."""
    name = f"{_LOCAL_BASE}-{base.digest.removeprefix('sha256:')[:12]}"
    found = subprocess.run(
        ["buildah", *_storage(), "inspect", "--type=image", name], capture_output=True, check=False
    )
    if found.returncode:
        report("base image", "loading into buildah")
        log = cache_dir() / "images" / "base.load.log"
        _buildah(["pull", f"oci-archive:{base.archive}"], log)
        _buildah(["tag", base.name, name], log)
    return name


def _buildah(command: Sequence[str], log: Path, say: Callable[[int], None] | None = None) -> None:
    follow(["buildah", *_storage(), *command], log=log, report=say or (lambda _: None))


def _storage() -> list[str]:
    """A store of our own, so that no other images are touched or shown."""
    root = cache_dir() / "buildah"
    return [f"--root={root}", f"--runroot={root / 'run'}"]
