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
    if last := known.get("usedAt"):
        return span(units.seconds_since(str(last), now))
    return NEVER if known.get("askedAt") else UNKNOWN


def sentence(activity: Mapping[str, Any] | None, now: datetime) -> str:
    """Return how long ago, how old that figure is, and why it is no newer."""
    known = activity or {}
    last, asked_at, message = (known.get(key) for key in ("usedAt", "askedAt", "message"))
    used = f"{_ago(last, now)} ago" if last else NEVER if asked_at else UNKNOWN
    if message:
        since = f"unknown for {_ago(asked_at, now)}: " if asked_at else ""
        return f"{used}; {since}{message}"
    is_newer = last and asked_at and datetime.fromisoformat(last) > datetime.fromisoformat(asked_at)
    return f"{used}, as of {_ago(asked_at, now)} ago" if asked_at and not is_newer else used


def _ago(moment: object, now: datetime) -> str:
    return units.span(units.seconds_since(str(moment), now))
