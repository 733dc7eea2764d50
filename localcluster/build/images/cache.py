"""Keep images and layers in the cache by a hash of all that they are made from."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from localcluster.build.images.oci import Config, Image, read_archive, write_archive
from localcluster.paths import cache_dir
from localcluster.processes import locks

_FORMAT: Final = "2"  # raise it with each change of how archives are written


def key(*inputs: str | bytes | Path) -> str:
    """Hash the inputs of a result: texts, and the contents of files."""
    digest = hashlib.sha256()
    for item in inputs:
        content = item.read_bytes() if isinstance(item, Path) else item
        content = content.encode() if isinstance(content, str) else content
        digest.update(f"{len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def ensure(kind: str, name: str, inputs: str, make: Callable[[Path], object]) -> Path:
    """Return the file ``<kind>/<name>-<inputs>.tar``, which ``make`` writes if there is none.

    Only one process at a time makes it. Files with the same name and other inputs are removed.
    """
    folder = cache_dir() / kind
    target = folder / f"{name}-{inputs}.tar"
    if target.exists():
        locks.note_use(target)
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with locks.file_lock(folder / f".{name}.lock"):
        if not target.exists():
            partial = target.with_suffix(".partial")
            make(partial)
            for old in folder.glob(f"{name}-{'?' * len(inputs)}.tar"):
                old.unlink()
            partial.rename(target)
    return target


def ensure_image(name: str, layers: Sequence[Path], config: Config) -> Image:
    """Return the image of these cached layers, whose file names identify their content."""
    inputs = key(_FORMAT, name, repr(config), *(layer.name for layer in layers))
    archive = ensure(
        "images", slug(name), inputs, lambda target: write_archive(target, name, layers, config)
    )
    return read_archive(archive)


def slug(name: str) -> str:
    """Return an image's name as part of a file name, without the registry's host."""
    return re.sub("[^a-z0-9.]+", "-", name.partition("/")[2] or name)


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder on the cache's file system, and remove it afterwards."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="build-", dir=cache_dir()))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)
