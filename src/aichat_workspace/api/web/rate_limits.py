"""How much one caller may take: requests by the second, and streams and lists at the same time.

Whoever may make one service account in a namespace may make any number there. So each has a
caller's share, and all of a namespace together have five.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self

from aichat_workspace.api.settings import Bounds
from aichat_workspace.api.web import problems

NAMESPACE_SHARES: Final = 5
_ADDRESS_SHARE: Final = 0.4
_MOST_CALLERS: Final = 10_000
_ACCOUNT: Final = "system:serviceaccount:"
_YOURS: Final = "You ask too often; a watch tells changes without asking."
_TOGETHER: Final = "The service accounts of your namespace ask too often, all together."
_ADDRESS: Final = "Too many callers whom nobody knows yet come from your address."
_STRANGERS: Final = "Too many callers come whom nobody knows yet."


@dataclass(slots=True)
class TokenBucket:
    """A token bucket for each caller, filled anew by the second."""

    per_second: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    told: str = _YOURS
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, caller: str) -> None:
        """Raises ProblemError (429) for a caller whose bucket is empty."""
        now = self.clock()
        level, since = self._buckets.pop(caller, (float(self.burst), now))
        level = min(float(self.burst), level + (now - since) * self.per_second)
        self._buckets[caller] = (max(level - 1, 0.0) if level >= 1 else level, now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        if level < 1:
            wait = math.ceil((1 - level) / self.per_second)
            raise problems.too_many(
                f"{self.told} More than {self.per_second:.0f} requests a second are not answered. "
                f"Wait {wait} s.",
                wait,
            )


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Of each caller, and of all service accounts of a namespace."""

    each: TokenBucket
    together: TokenBucket

    @classmethod
    def of(cls, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> Self:
        per_second, burst = bounds.requests_per_second, bounds.burst
        return cls(
            TokenBucket(per_second, burst, clock),
            TokenBucket(per_second * NAMESPACE_SHARES, burst * NAMESPACE_SHARES, clock, _TOGETHER),
        )

    def take(self, caller: str) -> None:
        """Raises ProblemError (429)."""
        self.each.take(caller)
        if (namespace := _namespace(caller)) is not None:
            self.together.take(namespace)


@dataclass(frozen=True, slots=True)
class AnonymousRateLimits:
    """How often those may ask whom nobody knows yet: all together, and from one address less than
    that, so that whoever floods us keeps others from his own address out and nobody else."""

    each: TokenBucket
    together: TokenBucket

    @classmethod
    def of(cls, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> Self:
        return cls(
            TokenBucket(
                per_second * _ADDRESS_SHARE, max(1, int(burst * _ADDRESS_SHARE)), clock, _ADDRESS
            ),
            TokenBucket(per_second, burst, clock, _STRANGERS),
        )

    def take(self, address: str) -> None:
        """Raises ProblemError (429)."""
        self.each.take(address)
        self.together.take("")


@dataclass(slots=True)
class ConcurrencyLimit:
    """What is under way at the same time: `what`, as a caller may be told."""

    per_caller: int
    overall: int
    what: str = "streams"
    _taken: Counter[str] = field(default_factory=Counter)
    taken: int = 0

    @contextmanager
    def place(self, caller: str) -> Iterator[None]:
        """Raises ProblemError (429) for one too many."""
        namespace = _namespace(caller)
        shared = self.per_caller * NAMESPACE_SHARES
        if self._taken.get(caller, 0) >= self.per_caller:
            raise problems.too_many(
                f"You have {self.per_caller} {self.what} open; end one first.", 5
            )
        if namespace is not None and self._taken.get(namespace, 0) >= shared:
            raise problems.too_many(
                f"The service accounts of your namespace have {shared} {self.what} open, all "
                "together; end one first.",
                5,
            )
        if self.taken >= self.overall:
            raise problems.too_many(f"Too many {self.what} are open; try again in a while.", 10)
        held = [caller] if namespace is None else [caller, namespace]
        self.taken += 1
        self._taken.update(held)
        try:
            yield
        finally:
            self.taken -= 1
            self._taken.subtract(held)
            for each in held:
                if not self._taken[each]:
                    del self._taken[each]


def _namespace(caller: str) -> str | None:
    """Of a service account, in its own words; None for a person."""
    return caller.rpartition(":")[0] if caller.startswith(_ACCOUNT) else None
