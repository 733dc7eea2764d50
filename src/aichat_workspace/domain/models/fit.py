"""Whether a model fits a workspace's model server, and what to raise so that it does."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aichat_workspace.domain.models.capacity import (
    MEMORY_FIELD,
    STORAGE_FIELD,
    capacity_problem,
    enough_memory_gib,
    enough_storage_gib,
    memory_problem,
)
from aichat_workspace.domain.models.name import model_key


@dataclass(frozen=True, slots=True)
class Room:
    """What a model server has for models."""

    memory_bytes: int = 0
    """0 where it is not known, as with graphics processors."""
    capacity_bytes: int = 0
    """The models' volume; 0 where it is not known."""
    occupied_bytes: int = 0
    """Bytes of the volume that models take."""
    held_bytes: Mapping[str, int] = field(default_factory=dict)
    """By a model's key: its bytes that are there already."""


@dataclass(frozen=True, slots=True)
class Raise:
    """A field to raise."""

    field: str
    """Its path in a workspace."""
    to: str
    """The least value that is enough, as 14Gi."""
    message: str
    """Why."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model fits."""

    fits: bool
    """Nothing is known that keeps it from answering short prompts."""
    raises: tuple[Raise, ...] = ()
    """What has to be raised for it or, where it fits, what should be."""


def fit(model: str, size_bytes: int, room: Room) -> Fit:
    """Return whether a model of this size fits.

    Memory between the least and what is enough at the default context fits, with an advice.
    """
    missing_bytes = max(size_bytes - room.held_bytes.get(model_key(model), 0), 0)
    too_large = memory_problem(model, size_bytes, room.memory_bytes)
    full = capacity_problem(model, missing_bytes, room.occupied_bytes, room.capacity_bytes)
    full = full if missing_bytes else ""
    raises = []
    enough = enough_memory_gib(size_bytes)
    if too_large:
        raises.append(Raise(MEMORY_FIELD, f"{enough}Gi", too_large))
    elif 0 < room.memory_bytes < enough * 2**30:
        message = (
            f"{model} fits, with little memory for its context; raise {MEMORY_FIELD} to "
            f"{enough}Gi for long prompts"
        )
        raises.append(Raise(MEMORY_FIELD, f"{enough}Gi", message))
    if full:
        storage = enough_storage_gib(room.occupied_bytes + missing_bytes)
        raises.append(Raise(STORAGE_FIELD, f"{storage}Gi", full))
    return Fit(not (too_large or full), tuple(raises))
