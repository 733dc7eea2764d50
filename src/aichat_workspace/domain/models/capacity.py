"""The room that models take on their volume."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_USABLE_SHARE: Final = 0.95


def capacity_problem(model: str, needed_bytes: int, present_bytes: int, capacity_bytes: int) -> str:
    """What to say of a model that its volume has no room for, or nothing. Room for the metadata
    and for a model's temporary files is kept free."""
    room = int(capacity_bytes * _USABLE_SHARE) - present_bytes
    if not capacity_bytes or needed_bytes <= room:
        return ""
    return (
        f"{model} needs {_gibibytes(needed_bytes)}, and of the volume's "
        f"{_gibibytes(capacity_bytes)} there are {_gibibytes(max(room, 0))} left; raise "
        "spec.storage.ollama.size, or remove a model"
    )


def _gibibytes(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"


@dataclass(frozen=True, slots=True)
class PresentModel:
    """A model that the server lists; `weights` is empty where they are not known."""

    name: str
    digest: str
    size_bytes: int
    weights: str = ""


def occupied_bytes(present: Iterable[PresentModel]) -> int:
    """What models take of their volume. Each one's size counts its weights in full, and those made
    of one another have them on the volume once."""
    largest: dict[str, int] = {}
    for model in present:
        of = model.weights or model.name
        largest[of] = max(largest.get(of, 0), model.size_bytes)
    return sum(largest.values())
