"""Remove unused cache entries, such as programs of earlier versions."""

import shutil
from pathlib import Path
from typing import Final

from localcluster.paths import cache_dir

# locks.note_use sets the time of an entry with each use. Locks begin with a dot.
_KINDS: Final = ("binaries", "images", "layers", "models", "packages", "toolchains")
_ENTRIES: Final = (
    *(f"{kind}/[!.]*" for kind in _KINDS),
    "build-*",
)  # the last are of killed builds


def remove(before: float) -> int:
    """Remove entries last used before a moment, in seconds since 1970; return the freed bytes.

    An entry that is needed again later is built again.
    """
    entries = [entry for pattern in _ENTRIES for entry in sorted(cache_dir().glob(pattern))]
    return sum(_remove(entry) for entry in entries if entry.stat().st_mtime < before)


def _remove(entry: Path) -> int:
    freed_bytes = _size_bytes(entry)
    if entry.is_dir():
        shutil.rmtree(entry)
    else:
        entry.unlink()
    return freed_bytes


def _size_bytes(entry: Path) -> int:
    """Leave out files with another hard link: complete programs link those of their parts."""
    states = [path.lstat() for path in (entry, *entry.rglob("*"))]
    return sum(state.st_blocks * 512 for state in states if state.st_nlink == 1)
