"""Building a Containerfile on the local base image, with buildah."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from localcluster.build.images import cache
from localcluster.build.images.base import ensure_base
from localcluster.build.images.oci import Image, pack_layout, read_archive
from localcluster.build.images.package_index import mounts
from localcluster.build.images.run import follow
from localcluster.paths import cache_dir
from localcluster.processes import foreground, locks
from localcluster.progress import Report

_LOCAL_BASE: Final = "localhost/localcluster/base:1"


def build_containerfile(
    file: Path,
    context: Path,
    tag: str,
    report: Report,
) -> Image:
    """Build ``file`` with ``context`` and name the result ``tag`` (a full image name).

    The build argument ``BASE`` is the local base image. Layers are cached by buildah. Package
    indexes that the machine is set up for serve the build's ``pip`` and ``uv`` too, without a trace
    in the image.

    Raises:
        CommandFailedError: the build failed; the message ends with what it said last.
    """
    base = ensure_base(report)
    with _store():
        loaded = _load_base(base, report)
        report(tag, "building")
        identity = _build(file, context, tag, loaded, report)
        archive = cache.ensure(
            "images", cache.slug(tag), identity[:16], lambda target: _pack(tag, target, report)
        )
    return read_archive(archive)


def _build(file: Path, context: Path, tag: str, base: str, report: Report) -> str:
    """Run the build; the result's identity changes when anything in it does."""
    log = _log(tag)
    with tempfile.TemporaryDirectory() as private:
        identity = Path(private) / "identity"
        command = ["build", "--isolation=chroot", "--layers", "--format=oci", "--pull-never"]
        command += [f"--tag={tag}", f"--file={file}", f"--iidfile={identity}"]
        command += [f"--build-arg=BASE={base}"]
        command += [f"--volume={each}" for each in mounts(os.environ, Path(private))]
        _buildah(
            [*command, str(context)],
            log,
            lambda lines: report(tag, f"building, {lines} lines of output"),
        )
        return identity.read_text().strip().removeprefix("sha256:")


def _pack(tag: str, target: Path, report: Report) -> None:
    report(tag, "packing")
    with cache.scratch() as folder:
        _buildah(["push", tag, f"oci:{folder / 'layout'}"], _log(f"{tag}-push"))
        pack_layout(folder / "layout", tag, target)


def _log(name: str) -> Path:
    return cache_dir() / "logs" / f"{cache.slug(name)}.log"


@contextmanager
def _store() -> Iterator[None]:
    """buildah's store for one build at a time, with no container or mount left afterwards."""
    _root().mkdir(parents=True, exist_ok=True)
    with locks.file_lock(_root() / ".lock"):
        try:
            yield
        finally:
            for command in (
                ["buildah", *_storage(), "rm", "--all"],
                ["umount", str(_root() / "overlay")],  # its driver mounts its folder on itself
            ):
                subprocess.run(command, capture_output=True, check=False)


def _load_base(base: Image, report: Report) -> str:
    """Give buildah our base image, once for each version of it; returns its name there."""
    name = f"{_LOCAL_BASE}-{base.digest.removeprefix('sha256:')[:12]}"
    found = foreground.run(["buildah", *_storage(), "inspect", "--type=image", name])
    if found.returncode:
        report("base image", "loading into buildah")
        log = _log("base-load")
        _buildah(["pull", f"oci-archive:{base.archive}"], log)
        _buildah(["tag", base.name, name], log)
    return name


def _buildah(command: Sequence[str], log: Path, say: Callable[[int], None] | None = None) -> None:
    follow(["buildah", *_storage(), *command], log=log, report=say or (lambda _: None))


def _storage() -> list[str]:
    """A store of our own, so that no other images are touched or shown."""
    return [f"--root={_root()}", f"--runroot={_root() / 'run'}"]


def _root() -> Path:
    return cache_dir() / "buildah"
