"""Build a Containerfile on the local base image, with buildah."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from localcluster.build.images import cache
from localcluster.build.images.base import ensure_base
from localcluster.build.images.oci import Image, pack_layout, read_archive
from localcluster.build.images.package_index import mounts
from localcluster.build.images.run import run_with_log
from localcluster.paths import cache_dir
from localcluster.processes import foreground, locks
from localcluster.progress import Report

_LOCK: Final = ".lock"
_LOCAL_BASE: Final = "localhost/localcluster/base:1"


def build_containerfile(
    file: Path,
    context: Path,
    tag: str,
    report: Report,
) -> Image:
    """Build ``file`` with ``context`` and name the image ``tag`` (a full image name).

    The build argument ``BASE`` is the local base image. buildah caches layers. The machine's
    package index settings also apply to the build's ``pip`` and ``uv``, but leave no trace in the
    image.

    Raises:
        CommandFailedError: the build failed; the message ends with its last lines of output.
    """
    base = ensure_base(report)
    with _store():
        locks.note_use(_root() / _LOCK)
        base_name = _load_base(base, report)
        report(tag, "building")
        identity = _build(file, context, tag, base_name, report)
        archive = cache.ensure(
            "images", cache.slug(tag), identity[:16], lambda target: _pack(tag, target, report)
        )
    return read_archive(archive)


def clean(before: float) -> int:
    """Remove what buildah's store has of builds before a moment, in seconds since 1970. Return the
    freed bytes.

    That is the whole store where nothing was built since, and else the older layers and images that
    no name is left of. The store is ours alone (see `_storage`).
    """
    if not _root().exists():
        return 0
    with locks.file_lock(_root() / _LOCK):
        _unmount()
        size_bytes = _size_bytes()
        if _last_build() >= before:
            _remove_unnamed(before)
            _unmount()
        else:
            _empty()
        return max(0, size_bytes - _size_bytes())


def _empty() -> None:
    for entry in _root().iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != _LOCK:
            entry.unlink()


def _remove_unnamed(before: float) -> None:
    if shutil.which("buildah") is None:
        return
    listed = subprocess.run(
        ["buildah", *_storage(), "images", "--all", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    for image in json.loads(listed.stdout or "[]"):
        if not image.get("names") and image["created"] < before:
            command = ["buildah", *_storage(), "rmi", image["id"]]
            subprocess.run(command, capture_output=True, check=False)


def _last_build() -> float:
    """Return when the store was last used, in seconds since 1970."""
    return (_root() / _LOCK).stat().st_mtime


def _size_bytes() -> int:
    return sum(path.lstat().st_blocks * 512 for path in _root().rglob("*"))


def _build(file: Path, context: Path, tag: str, base: str, report: Report) -> str:
    """Run the build and return the image's ID, which is a hash of its content."""
    log = _log(tag)
    with tempfile.TemporaryDirectory() as private:
        identity = Path(private) / "identity"
        command = ["build", "--isolation=chroot", "--layers", "--format=oci", "--pull-never"]
        command += [f"--tag={tag}", f"--file={file}", f"--iidfile={identity}"]
        command += [f"--build-arg=BASE={base}"]
        command += [f"--volume={mount}" for mount in mounts(os.environ, Path(private))]
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
    """Lock buildah's store for one build, and remove its containers and mounts afterwards."""
    _root().mkdir(parents=True, exist_ok=True)
    with locks.file_lock(_root() / _LOCK):
        try:
            yield
        finally:
            _unmount()


def _unmount() -> None:
    """Remove the containers of builds, and what is mounted for them."""
    for command in (
        ["buildah", *_storage(), "rm", "--all"],
        ["umount", str(_root() / "overlay")],  # its driver mounts its folder on itself
    ):
        with suppress(FileNotFoundError):
            subprocess.run(command, capture_output=True, check=False)


def _load_base(base: Image, report: Report) -> str:
    """Load our base image into buildah unless it is there, and return its name there."""
    name = f"{_LOCAL_BASE}-{base.digest.removeprefix('sha256:')[:12]}"
    result = foreground.run(["buildah", *_storage(), "inspect", "--type=image", name])
    if result.returncode:
        report("base image", "loading into buildah")
        log = _log("base-load")
        _buildah(["pull", f"oci-archive:{base.archive}"], log)
        _buildah(["tag", base.name, name], log)
    return name


def _buildah(
    command: Sequence[str], log: Path, on_tick: Callable[[int], None] = lambda _: None
) -> None:
    run_with_log(["buildah", *_storage(), *command], log=log, on_tick=on_tick)


def _storage() -> list[str]:
    """Return options for a separate store, so that no other images are changed or shown."""
    return [f"--root={_root()}", f"--runroot={_root() / 'run'}"]


def _root() -> Path:
    return cache_dir() / "buildah"
