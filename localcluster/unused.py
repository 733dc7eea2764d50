"""Removing from the cache what nothing uses any more, such as earlier versions' programs."""

import shutil
from pathlib import Path
from typing import Final

from localcluster.paths import cache_dir

# Each use of what is in these is noted by once.note_use. Locks begin with a dot.
_KINDS: Final = ("binaries", "images", "layers", "models", "packages", "toolchains")
_ENTRIES: Final = (*(f"{kind}/[!.]*" for kind in _KINDS), "build-*")  # the last: of killed builds


def remove(before: float) -> int:
    """Remove what was last used before a moment, in seconds since 1970. How many bytes that freed.

    What is wanted again later is made again.
    """
    entries = [entry for pattern in _ENTRIES for entry in sorted(cache_dir().glob(pattern))]
    return sum(_remove(entry) for entry in entries if entry.stat().st_mtime < before)


def _remove(entry: Path) -> int:
    freed = _bytes(entry)
    if entry.is_dir():
        shutil.rmtree(entry)
    else:
        entry.unlink()
    return freed


def _bytes(entry: Path) -> int:
    """Without files that have another name, too: programs are linked from part to whole."""
    states = [path.lstat() for path in (entry, *entry.rglob("*"))]
    return sum(state.st_blocks * 512 for state in states if state.st_nlink == 1)
