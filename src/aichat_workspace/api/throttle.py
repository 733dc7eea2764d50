"""How much one caller may take: requests by the second, and streams at the same time."""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from aichat_workspace.api import problems
from aichat_workspace.api.settings import Bounds

_MOST_CALLERS: Final = 10_000


@dataclass(slots=True)
class Rate:
    """A token bucket for each caller, filled anew by the second."""

    per_second: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, caller: str) -> None:
        """Raises Problem (429) for a caller whose bucket is empty."""
        now = self.clock()
        level, since = self._buckets.pop(caller, (float(self.burst), now))
        level = min(float(self.burst), level + (now - since) * self.per_second)
        self._buckets[caller] = (max(level - 1, 0.0) if level >= 1 else level, now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        if level < 1:
            wait = math.ceil((1 - level) / self.per_second)
            raise problems.too_many(
                f"More than {self.per_second:.0f} requests a second. Wait {wait} s, and ask less "
                "often; a watch tells changes without asking.",
                wait,
            )


@dataclass(slots=True)
class Streams:
    """Watches, followed logs and prompts under way."""

    bounds: Bounds
    _open: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def place(self, caller: str) -> Iterator[None]:
        """Raises Problem (429) for one stream too many."""
        if self._open.get(caller, 0) >= self.bounds.streams_per_caller:
            raise problems.too_many(
                f"You have {self.bounds.streams_per_caller} streams open; end one first.", 5
            )
        if self._open.total() >= self.bounds.streams:
            raise problems.too_many("Too many streams are open; try again in a while.", 10)
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]

    @property
    def open(self) -> int:
        return self._open.total()
