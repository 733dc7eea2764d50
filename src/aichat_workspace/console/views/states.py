"""States, times and models as pages show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aichat_workspace.console import units
from aichat_workspace.console.texts import TEXTS
from aichat_workspace.domain.models.status import ModelState

Document = Mapping[str, Any]


_MODEL_TONES: Final[Mapping[str, str]] = {
    ModelState.PENDING: "idle",
    ModelState.PULLING: "working",
    ModelState.READY: "good",
    ModelState.FAILED: "trouble",
    ModelState.REMOVING: "idle",
}


@dataclass(frozen=True, slots=True)
class State:
    """A state as a word and a sign."""

    word: str
    tone: str
    """good, working, trouble or idle: the sign and the colour."""


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
    return Time(moment.isoformat(sep=" ", timespec="seconds"), units.age(moment, now))


def model(document: Document) -> Model:
    """Return the view of a model of a status."""
    kind = document["state"]
    is_pulling = kind == ModelState.PULLING
    return Model(
        name=document["name"],
        state=State(TEXTS.get(f"model_{kind}", kind), _MODEL_TONES.get(kind, "idle")),
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
            *([TEXTS["rate"].format(rate=units.size(rate))] if rate else []),
            *([TEXTS["eta"].format(eta=units.span(eta))] if eta is not None else []),
        ]
    )
