"""Replace the data folder's content, so that a kill at any step leaves the old or the new one.

The folder is a volume's root, which can't be renamed, so the names of folders in it say how far a
swap is. Until one is called `verified`, the old data counts; from then on the new data does, and
`recover` ends the swap from wherever it stopped. It has to run before the chat starts.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

STAGING: Final = ".restore"
"""The folder of the journal, in the data folder."""
_UNPACKED: Final = "unpacked"
_VERIFIED: Final = "verified"
_INSTALLED: Final = "installing"
_OLD: Final = "old"
# The file system's own.
_STAYS: Final = frozenset({STAGING, "lost+found"})


def replace(data: Path, unpack: Callable[[Path], None]) -> None:
    """Fill a new folder by `unpack`, and swap it in unless that raises."""
    recover(data)
    unpacked = data / STAGING / _UNPACKED
    unpacked.mkdir(parents=True)
    try:
        unpack(unpacked)
    except BaseException:
        recover(data)
        raise
    os.sync()  # the name below must not last over a crash of the node before the content does
    unpacked.rename(data / STAGING / _VERIFIED)
    recover(data)


def recover(data: Path) -> bool:
    """End a swap that was verified, or remove one that was not. Return whether there was any."""
    staging = data / STAGING
    if not staging.exists():
        return False
    verified, installing = staging / _VERIFIED, staging / _INSTALLED
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
        os.sync()
        installing.rmdir()
    shutil.rmtree(staging)
    return True
