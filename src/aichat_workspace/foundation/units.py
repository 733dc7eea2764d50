"""Times and sizes as people read them, in the command line and the console alike."""

from datetime import datetime
from typing import Final

_SPANS: Final = ((86_400, "d", "d"), (3_600, "h", "h"), (60, "m", "min"), (1, "s", "s"))
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024


def age(seconds: float) -> str:
    """Return an age in its largest unit, as 45s, 4m, 3h or 9d; a negative one is 0s."""
    amount, short, _ = _largest(seconds)
    return f"{amount}{short}"


def span(seconds: float) -> str:
    """Return a time span in its largest unit, as `4 min`; a negative one is `0 s`."""
    amount, _, word = _largest(seconds)
    return f"{amount} {word}"


def seconds_since(time: str, now: datetime) -> float:
    """Return the seconds since an RFC 3339 time."""
    return (now - datetime.fromisoformat(time)).total_seconds()


def size(count_bytes: int) -> str:
    """Return a binary size with one decimal, as 1.6 GiB."""
    number, unit = float(count_bytes), 0
    while round(number, 1) >= _STEP and unit < len(_UNITS) - 1:
        number, unit = number / _STEP, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{count_bytes} B"


def speed(bytes_per_second: int) -> str:
    """Return a speed, as 68.0 MiB/s."""
    return f"{size(bytes_per_second)}/s"


def roughly(seconds: int) -> str:
    """Return the time left, as `about 6 min`."""
    if seconds < 90:
        return f"about {max(seconds, 1)} s"
    if seconds < 5_400:
        return f"about {round(seconds / 60)} min"
    return f"about {round(seconds / 3_600)} h"


def _largest(seconds: float) -> tuple[int, str, str]:
    whole = max(int(seconds), 0)
    for length, short, word in _SPANS:
        if whole >= length:
            return whole // length, short, word
    return 0, "s", "s"
