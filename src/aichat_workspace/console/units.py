"""Times and sizes as people read them."""

from datetime import datetime
from typing import Final

_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_SIZES: Final = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def span(seconds: float) -> str:
    """Return a time span in its largest unit, as `4 min`; a negative one is `0 s`."""
    whole = max(int(seconds), 0)
    size, unit = next((size, unit) for size, unit in _SPANS if whole >= size or size == 1)
    return f"{whole // size} {unit}"


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, as `4 min`."""
    return span((now - moment).total_seconds())


def size(size_bytes: int) -> str:
    """Return a size in its largest binary unit, as `1.5 GiB`."""
    for factor, unit in _SIZES:
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"
