"""Prefer and Preference-Applied (RFC 7240): how long a caller waits for an answer."""

import re
from typing import Final

APPLIED: Final = "Preference-Applied"
_WAIT: Final = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(;.*)?', re.ASCII | re.IGNORECASE)


def wait_seconds(prefer: str | None) -> int | None:
    """Return the seconds of the first `wait=N`; None without one.

    What is not understood is ignored, as a preference may be.
    """
    for preference in (prefer or "").split(","):
        if match := _WAIT.fullmatch(preference):
            return int(match[1])
    return None


def applied_wait(seconds: float) -> dict[str, str]:
    """Return the header that says how long was waited for at most."""
    return {APPLIED: f"wait={seconds:g}"}
