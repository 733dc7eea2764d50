"""How much space models take on their volume, and in memory."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aichat_workspace.domain.models.name import model_key

MEMORY_FIELD: Final = "spec.resources.ollama.memoryLimit"
STORAGE_FIELD: Final = "spec.storage.ollama.size"
_USABLE_SHARE: Final = 0.95
# The least that a model takes beside its file: context, buffers and the server.
_MEMORY_FACTOR: Final = 1.05
_LEAST_MEMORY: Final = 64 * 2**20
# What is enough at the default context (docs/decisions/0014-ollama-0.34.md).
_ENOUGH_FACTOR: Final = 1.15
_ENOUGH_MEMORY: Final = 512 * 2**20


def capacity_problem(model: str, needed_bytes: int, present_bytes: int, capacity_bytes: int) -> str:
    """Return what is wrong when the volume has no space for a model, else an empty text.

    A part of the volume stays free, for metadata and temporary files.
    """
    room = int(capacity_bytes * _USABLE_SHARE) - present_bytes
    if not capacity_bytes or needed_bytes <= room:
        return ""
    return (
        f"{model} needs {_gibibytes(needed_bytes)}, and of the volume's "
        f"{_gibibytes(capacity_bytes)} there are {_gibibytes(max(room, 0))} left; raise "
        f"{STORAGE_FIELD}, or remove a model"
    )


def memory_problem(model: str, size_bytes: int, memory_bytes: int) -> str:
    """Return what is wrong when a model certainly does not fit into memory, else an empty text.

    `memory_bytes` is 0 where that is not known. Without graphics processors the server reads the
    whole file into memory, and is ended when that is more than its limit.
    """
    if not memory_bytes or size_bytes * _MEMORY_FACTOR + _LEAST_MEMORY <= memory_bytes:
        return ""
    return (
        f"{model} has {_gibibytes(size_bytes)} and is read into memory as a whole, and the model "
        f"server has {_gibibytes(memory_bytes)} of it, so no prompt would be answered; raise "
        f"{MEMORY_FIELD} to {enough_memory_gib(size_bytes)}Gi, or choose a smaller model"
    )


def enough_memory_gib(size_bytes: int) -> int:
    """Return the GiB of memory that are enough for a model at the default context."""
    return math.ceil((size_bytes * _ENOUGH_FACTOR + _ENOUGH_MEMORY) / 2**30)


def enough_storage_gib(total_bytes: int) -> int:
    """Return the GiB of a volume that has space for so many bytes of models."""
    return math.ceil(total_bytes / _USABLE_SHARE / 2**30)


def _gibibytes(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"


@dataclass(frozen=True, slots=True)
class PresentModel:
    """A model that the model server lists."""

    name: str
    digest: str
    size_bytes: int
    weights: str = ""
    """The digest of its weights; empty while unknown."""

    @property
    def key(self) -> str:
        """The name to compare."""
        return model_key(self.name)


def occupied_bytes(present: Iterable[PresentModel]) -> int:
    """Return the bytes that models take on their volume.

    Each model's size includes its weights, and models with the same weights store them once.
    """
    largest: dict[str, int] = {}
    for model in present:
        weights = model.weights or model.name
        largest[weights] = max(largest.get(weights, 0), model.size_bytes)
    return sum(largest.values())
