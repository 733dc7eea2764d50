"""Limits per caller: requests a second, and streams and lists at the same time.

A person who may create one service account in a namespace may create any number there. So each
service account has one caller's share, and all of a namespace together have five.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self

from aichat_workspace.api.web.limits.shares import ALL_TOGETHER, Shares
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.problems import ProblemError

NAMESPACE_SHARES: Final = 5
MAX_CALLERS: Final = 10_000
"""Callers that are remembered; the one whose last request is the oldest goes first."""
_ACCOUNT_PREFIX: Final = "system:serviceaccount:"
_PER_CALLER: Final = "You ask too often; a watch tells changes without asking."
_PER_NAMESPACE: Final = "The service accounts of your namespace ask too often, all together."
REVIEWS_PER_CALLER: Final = (
    "Your requests need too many answers of Kubernetes; a request with `team` needs one."
)


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
        if len(self._buckets) > MAX_CALLERS:
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
    def create(
        cls,
        per_second: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        message: str = _PER_CALLER,
    ) -> Self:
        """Create limits of so many requests for each caller."""
        return cls(
            TokenBucket(per_second, burst, clock, message),
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
class ConcurrencyLimit:
    """A limit on what is open at the same time."""

    per_caller: int
    """Slots of one caller; the service accounts of a namespace have five times as many."""
    shares: Shares
    what: str = "streams"
    """What a slot is for, as problems call it."""

    @classmethod
    def create(cls, per_caller: int, overall: int, what: str = "streams") -> Self:
        """Create a limit with so many slots for a caller, and for all together."""
        return cls(per_caller, Shares(overall), what)

    @property
    def taken(self) -> int:
        """Slots that are taken now."""
        return self.shares.total

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Take a slot until the block ends. Raises ProblemError (429) for one too many."""
        limits = caller_limits(caller, self.per_caller)
        if (holder := self.shares.exceeded(limits)) is not None:
            raise self._full(caller, holder)
        self.shares.hold(limits)
        try:
            yield
        finally:
            self.shares.release(limits)

    def _full(self, caller: str, holder: str) -> ProblemError:
        if holder == ALL_TOGETHER:
            detail = f"Too many {self.what} are open; try again in a while."
            return problems.too_many(detail, 10)
        who = "You have"
        if holder != caller:
            who = "All together, the service accounts of your namespace have"
        limit = caller_limits(caller, self.per_caller)[holder]
        return problems.too_many(f"{who} {limit} {self.what} open; end one first.", 5)


def caller_limits(caller: str, limit: int, most: int | None = None) -> dict[str, int]:
    """Return the limit of a caller, and that of all service accounts of its namespace, which is
    `most` at most."""
    namespace = _account_namespace(caller)
    shares = limit * NAMESPACE_SHARES
    return {caller: limit} | (
        {namespace: shares if most is None else min(shares, most)} if namespace else {}
    )


def _account_namespace(caller: str) -> str | None:
    """Return a service account's username up to its namespace; None for a person."""
    return caller.rpartition(":")[0] if caller.startswith(_ACCOUNT_PREFIX) else None
