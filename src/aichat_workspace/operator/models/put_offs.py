"""Models that can't be had now, and when each is tried again if its task does not change before."""

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from aichat_workspace.domain.models.name import model_key
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason

# What a registry or a volume refuses may change without a word to the operator.
_PUT_OFF_SECONDS: Final = 6 * 3600.0
_UNTIL_CHANGED: Final = (
    Reason.MODEL_HOSTED,
    Reason.MODEL_NEEDS_MEMORY,
    Reason.MODEL_NEEDS_NEWER_SERVER,
    Reason.MODEL_TOO_LARGE,
)
_NO_ROOM: Final = (Reason.MODEL_TOO_LARGE, Reason.MODELS_VOLUME_FULL)


@dataclass(frozen=True, slots=True)
class _PutOff:
    until: float
    """On the loop's clock, in seconds."""
    listed_bytes: int | None
    """Of all models on the volume, where less of them make room; else None."""


class PutOffs:
    """The models of one workspace that are put off. `listed_bytes` is the sum of the sizes in its
    server's list."""

    def __init__(self) -> None:
        self._put_offs: dict[str, _PutOff] = {}
        """By the models' keys."""

    def put_off(self, model: str, problem: Problem, listed_bytes: int) -> datetime | None:
        """Do not try a model before something changes. Return the time of the next try, if any."""
        seconds = math.inf if problem.reason in _UNTIL_CHANGED else _PUT_OFF_SECONDS
        self._put_offs[model_key(model)] = _PutOff(
            until=asyncio.get_running_loop().time() + seconds,
            listed_bytes=listed_bytes if problem.reason in _NO_ROOM else None,
        )
        return None if seconds == math.inf else datetime.now(UTC) + timedelta(seconds=seconds)

    def has(self, model: str, listed_bytes: int) -> bool:
        """Whether a model is not to be tried now."""
        put_off = self._put_offs.get(model_key(model))
        if put_off is None:
            return False
        has_room = put_off.listed_bytes is not None and listed_bytes < put_off.listed_bytes
        return asyncio.get_running_loop().time() < put_off.until and not has_room
