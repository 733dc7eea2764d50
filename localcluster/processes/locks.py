"""Locks for threads and processes, and folders that are made once under such a lock."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from localcluster.processes import foreground


def build_once(target: Path, make: Callable[[Path], object]) -> Path:
    """Return the folder ``target``, which ``make`` fills if there is none.

    It has another name until it is complete, and other callers wait meanwhile. A failed one is kept
    with its log until the next try.
    """
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


def note_use(entry: Path) -> None:
    """Set the time of a cache entry to now, so that `clean` keeps it; only its owner can."""
    with suppress(OSError):
        os.utime(entry)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold a lock file while others wait, threads and processes alike."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(descriptor):
            foreground.pause()
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
