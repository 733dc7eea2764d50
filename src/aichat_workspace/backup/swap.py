"""Replace the data folder's content, so that a kill at any step leaves the old or the new one.

The folder is a volume's root, which can't be renamed, so the names of folders in it say how far a
swap is. Until one is called `verified`, the old data counts; from then on the new data does, and
`recover` ends the swap from wherever it stopped. The chat does not start while there is any of it
(domain/render/scripts/prepare_chat.py).
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aichat_workspace.backup.durable import sync_folder, sync_tree
from aichat_workspace.domain import names

_UNPACKED: Final = "unpacked"
_VERIFIED: Final = "verified"
_INSTALLING: Final = "installing"
_OLD: Final = "old"
# The second is the file system's own.
_STAYS: Final = frozenset({names.RESTORE_STAGING, "lost+found"})


def replace(data: Path, unpack: Callable[[Path], None]) -> None:
    """Fill a new folder by `unpack`, and swap it in unless that raises."""
    recover(data)
    unpacked = data / names.RESTORE_STAGING / _UNPACKED
    unpacked.mkdir(parents=True)
    try:
        unpack(unpacked)
    except BaseException:
        recover(data)
        raise
    sync_tree(unpacked)  # the name below must not last where these do not
    unpacked.rename(data / names.RESTORE_STAGING / _VERIFIED)
    sync_folder(data / names.RESTORE_STAGING)
    recover(data)


def is_unfinished(data: Path) -> bool:
    """Whether a restore goes on, or was killed."""
    return (data / names.RESTORE_STAGING).exists()


def recover(data: Path) -> bool:
    """End a swap that was verified, or remove one that was not. Return whether there was any."""
    staging = data / names.RESTORE_STAGING
    if not staging.exists():
        return False
    verified, installing = staging / _VERIFIED, staging / _INSTALLING
    if verified.exists():
        # All that is in place is old, so nothing new can be taken for it.
        old = staging / _OLD
        old.mkdir(exist_ok=True)
        for path in data.iterdir():
            if path.name not in _STAYS:
                path.rename(old / path.name)
        verified.rename(installing)
    if installing.exists():
        for path in installing.iterdir():
            path.rename(data / path.name)
        sync_folder(data)
        installing.rmdir()
    shutil.rmtree(staging)
    return True
