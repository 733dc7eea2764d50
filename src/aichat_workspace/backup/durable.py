"""Writes that last over a crash of the node: what is not synced may come back empty."""

import ctypes
import os
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last; the files' own contents are synced by who writes them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make the names in a folder and in all below it last."""
    for path, _, _ in os.walk(folder):
        sync_folder(Path(path))


def sync_file_system(folder: Path) -> None:
    """Make all that was written to the folder's file system so far last, by whomever: a snapshot of
    the volume has only what is on the disk (syncfs(2)). Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(descriptor):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(folder))
    finally:
        os.close(descriptor)
