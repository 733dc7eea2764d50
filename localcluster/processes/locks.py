"""Making a thing once, however many threads and processes want it at the same time."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from localcluster.processes import foreground


def build_once(target: Path, make: Callable[[Path], object]) -> Path:
    """The folder ``target``; ``make`` fills it, under another name until it is whole, when there is
    none. Others wait meanwhile. What has failed keeps its log until it is tried again."""
    if target.exists():
        note_use(target)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(target.parent / f".{target.name}.lock"):
        if not target.exists():
            partial = target.parent / f"{target.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                make(partial)
            except KeyboardInterrupt:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            partial.rename(target)
    return target


def note_use(made: Path) -> None:
    """Note that something in the cache is used now, so that it is kept. Its owner alone can."""
    with suppress(OSError):
        os.utime(made)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock file while others wait, threads and processes alike."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _taken(descriptor):
            foreground.pause()
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
