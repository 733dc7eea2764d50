"""Limits per caller: requests a second, and streams and lists at the same time.

A person who may create one service account in a namespace may create any number there. So each
service account has one caller's share, and all of a namespace together have five.
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
_MAX_CALLERS: Final = 10_000
_ACCOUNT_PREFIX: Final = "system:serviceaccount:"
_PER_CALLER: Final = "You ask too often; a watch tells changes without asking."
_PER_NAMESPACE: Final = "The service accounts of your namespace ask too often, all together."
_PER_ADDRESS: Final = "Too many unknown callers come from your address."
_ANONYMOUS: Final = "Too many unknown callers come."


@dataclass(slots=True)
class TokenBucket:
    """A token bucket for each caller."""

    per_second: float
    """Requests that a bucket regains each second."""
    burst: int
    """Requests that a full bucket holds."""
    clock: Callable[[], float] = time.monotonic
    message: str = _PER_CALLER
    """The first sentence of the problem that a caller with an empty bucket gets."""
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, caller: str) -> None:
        """Count a request. Raises ProblemError (429) for a caller whose bucket is empty."""
        now = self.clock()
        level, since = self._buckets.pop(caller, (float(self.burst), now))
        level = min(float(self.burst), level + (now - since) * self.per_second)
        self._buckets[caller] = (max(level - 1, 0.0) if level >= 1 else level, now)
        if len(self._buckets) > _MAX_CALLERS:
            self._buckets.popitem(last=False)
        if level < 1:
            wait = math.ceil((1 - level) / self.per_second)
            raise problems.too_many(
                f"{self.message} More than {self.per_second:.0f} requests a second are not "
                f"answered. Wait {wait} s.",
                wait,
            )


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Rate limits per caller, and per namespace for all its service accounts together."""

    per_caller: TokenBucket
    per_namespace: TokenBucket

    @classmethod
    def from_bounds(cls, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> Self:
        """Create the limits of the settings."""
        per_second, burst = bounds.requests_per_second, bounds.burst
        return cls(
            TokenBucket(per_second, burst, clock),
            TokenBucket(
                per_second * NAMESPACE_SHARES, burst * NAMESPACE_SHARES, clock, _PER_NAMESPACE
            ),
        )

    def take(self, caller: str) -> None:
        """Count a request. Raises ProblemError (429) for one too many."""
        self.per_caller.take(caller)
        if (namespace := _account_namespace(caller)) is not None:
            self.per_namespace.take(namespace)


@dataclass(frozen=True, slots=True)
class AnonymousRateLimits:
    """Rate limits for unauthenticated requests: one overall and a smaller one per address.

    A flood from one address affects only that address.
    """

    per_address: TokenBucket
    overall: TokenBucket

    @classmethod
    def create(
        cls, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> Self:
        """Create limits of so many requests overall; one address has two fifths of them."""
        return cls(
            TokenBucket(
                per_second * _ADDRESS_SHARE,
                max(1, int(burst * _ADDRESS_SHARE)),
                clock,
                _PER_ADDRESS,
            ),
            TokenBucket(per_second, burst, clock, _ANONYMOUS),
        )

    def take(self, address: str) -> None:
        """Count a request. Raises ProblemError (429) for one too many."""
        self.per_address.take(address)
        self.overall.take("")


@dataclass(slots=True)
class ConcurrencyLimit:
    """A limit on what is open at the same time."""

    per_caller: int
    """Slots of one caller; the service accounts of a namespace have five times as many."""
    overall: int
    """Slots of all callers together."""
    what: str = "streams"
    """What a slot is for, as problems call it."""
    _taken_by: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    """Slots that are taken now."""

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Take a slot until the block ends. Raises ProblemError (429) for one too many."""
        namespace = _account_namespace(caller)
        shared = self.per_caller * NAMESPACE_SHARES
        if self._taken_by.get(caller, 0) >= self.per_caller:
            raise problems.too_many(
                f"You have {self.per_caller} {self.what} open; end one first.", 5
            )
        if namespace is not None and self._taken_by.get(namespace, 0) >= shared:
            raise problems.too_many(
                f"The service accounts of your namespace have {shared} {self.what} open, all "
                "together; end one first.",
                5,
            )
        if self.taken >= self.overall:
            raise problems.too_many(f"Too many {self.what} are open; try again in a while.", 10)
        takers = [caller] if namespace is None else [caller, namespace]
        self.taken += 1
        self._taken_by.update(takers)
        try:
            yield
        finally:
            self.taken -= 1
            self._taken_by.subtract(takers)
            for taker in takers:
                if not self._taken_by[taker]:
                    del self._taken_by[taker]


def _account_namespace(caller: str) -> str | None:
    """Return a service account's username up to its namespace; None for a person."""
    return caller.rpartition(":")[0] if caller.startswith(_ACCOUNT_PREFIX) else None
