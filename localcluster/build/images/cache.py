"""Images and layers in the cache, by a hash of all that they are made from."""

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

_FORMAT: Final = "2"  # raise it when the archives of the same layers would be written differently


def key(*inputs: str | bytes | Path) -> str:
    """Names a result by its inputs: texts, and the contents of files."""
    digest = hashlib.sha256()
    for each in inputs:
        content = each.read_bytes() if isinstance(each, Path) else each
        content = content.encode() if isinstance(content, str) else content
        digest.update(f"{len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def ensure(kind: str, name: str, inputs: str, make: Callable[[Path], object]) -> Path:
    """The file ``<kind>/<name>-<inputs>.tar``; ``make`` writes it when there is none.

    One process at a time makes it. Older versions of the same thing are removed.
    """
    folder = cache_dir() / kind
    target = folder / f"{name}-{inputs}.tar"
    if target.exists():
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
    """The image of these cached layers, whose file names say what is in them."""
    inputs = key(_FORMAT, name, repr(config), *(layer.name for layer in layers))
    archive = ensure(
        "images", slug(name), inputs, lambda target: write_archive(target, name, layers, config)
    )
    return read_archive(archive)


def slug(name: str) -> str:
    """An image's name as part of a file name, without the registry's host."""
    return re.sub("[^a-z0-9.]+", "-", name.partition("/")[2] or name)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the cache's file system that is gone afterwards."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="build-", dir=cache_dir()))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)
