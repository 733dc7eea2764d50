"""When people last used a workspace, in words: the command line and the console say the same."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from aichat_workspace.foundation import units

NEVER = "never"
UNKNOWN = "not known"


def brief(
    activity: Mapping[str, Any] | None, now: datetime, span: Callable[[float], str] = units.age
) -> str:
    """Return how long ago, in a cell's width: `3h`, `never`, or `not known`."""
    known = activity or {}
    if last := known.get("lastActivity"):
        return span(units.seconds_since(str(last), now))
    return NEVER if known.get("asOf") else UNKNOWN


def sentence(activity: Mapping[str, Any] | None, now: datetime) -> str:
    """Return how long ago, how old that figure is, and why it is no newer."""
    known = activity or {}
    last, as_of, message = (known.get(key) for key in ("lastActivity", "asOf", "message"))
    used = f"{_ago(last, now)} ago" if last else NEVER if as_of else UNKNOWN
    if message:
        since = f"unknown for {_ago(as_of, now)}: " if as_of else ""
        return f"{used}; {since}{message}"
    is_newer = last and as_of and datetime.fromisoformat(last) > datetime.fromisoformat(as_of)
    return f"{used}, as of {_ago(as_of, now)} ago" if as_of and not is_newer else used


def _ago(moment: object, now: datetime) -> str:
    return units.span(units.seconds_since(str(moment), now))
