"""States, times and models as pages show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aichat_workspace.console.texts import TEXTS
from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.foundation import units
from aichat_workspace.foundation.states import State, model_state

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Time:
    """A moment, as an age and exactly."""

    exact: str
    age: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model and how far it is."""

    name: str
    state: State
    percent: int | None
    """The downloaded part while it is being downloaded."""
    note: str
    """Sizes, speed and time left, or what is wrong."""


def time(text: str, now: datetime) -> Time:
    """Return the view of an RFC 3339 time."""
    moment = datetime.fromisoformat(text)
    age = units.span((now - moment).total_seconds())
    return Time(moment.isoformat(sep=" ", timespec="seconds"), age)


def model(document: Document) -> Model:
    """Return the view of a model of a status."""
    kind = document["state"]
    is_pulling = kind == ModelState.PULLING
    return Model(
        name=document["name"],
        state=model_state(kind),
        percent=percent(document) if is_pulling else None,
        note=document.get("message") or (_download(document) if is_pulling else _size(document)),
    )


def percent(document: Document) -> int:
    """Return how much of a model is downloaded."""
    return int(document.get("percent", 0))


def _size(document: Document) -> str:
    total = document.get("totalBytes", 0)
    return units.size(total) if total else ""


def _download(document: Document) -> str:
    total, rate = document.get("totalBytes", 0), document.get("bytesPerSecond", 0)
    eta = document.get("etaSeconds")
    done = units.size(document.get("completedBytes", 0))
    return " · ".join(
        [
            f"{percent(document)} %",
            *([TEXTS["about"].format(bytes=done, total=units.size(total))] if total else []),
            *([units.speed(rate)] if rate else []),
            *([units.roughly(eta)] if eta is not None else []),
        ]
    )
