"""Ages, sizes and durations in words."""

from datetime import datetime
from typing import Any, Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024


def age(seconds: float) -> str:
    """Return an age in its largest unit, as 45s, 4m, 3h or 9d."""
    whole = max(int(seconds), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def age_since(time: str, now: datetime) -> str:
    """Return the age of an RFC 3339 time."""
    return age((now - datetime.fromisoformat(time)).total_seconds())


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


def count(number: int, noun: str) -> str:
    """Return a number with its noun, as `1 model` or `2 models`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def progress_of(model: dict[str, Any]) -> str:
    """Return a download in a few words, as `llama3.3:70b 41 %, about 6 min`."""
    words = f"{model['name']} {model.get('percent', 0)} %"
    eta = model.get("etaSeconds")
    return words if eta is None else f"{words}, {roughly(eta)}"
