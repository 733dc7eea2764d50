"""How much the work on each key may write, so that a fight with another writer stays slow.

A token bucket for each key: one that has spent more than it had waits until its bucket fills
again.
"""

import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_TOKENS: Final = 30.0
_TOKENS_PER_SECOND: Final = 0.1
_FULL_AGAIN_SECONDS: Final = 2 * _TOKENS / _TOKENS_PER_SECOND


class WriteBudgets(Generic[K]):
    """A bucket of 30 tokens for each key, which gets one every ten seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent: dict[K, tuple[float, float]] = {}
        """The balance and its time, of each key that has spent lately; the longest ago
        comes first."""

    def spend(self, key: K, tokens: float) -> None:
        """Take tokens for what was written. A bucket may be overdrawn."""
        if tokens <= 0:
            return
        now = self._clock()
        balance = max(self._balance(key, now) - tokens, -_TOKENS)
        self._spent.pop(key, None)
        self._spent[key] = balance, now
        self._drop_full(now)

    def wait_seconds(self, key: K) -> float:
        """Return how long the key has to wait; 0 where nothing is overdrawn."""
        return max(0.0, -self._balance(key, self._clock()) / _TOKENS_PER_SECOND)

    def __len__(self) -> int:
        return len(self._spent)

    def _balance(self, key: K, now: float) -> float:
        balance, then = self._spent.get(key, (_TOKENS, now))
        return min(_TOKENS, balance + (now - then) * _TOKENS_PER_SECOND)

    def _drop_full(self, now: float) -> None:
        """Forget the keys whose buckets are full by now."""
        while self._spent:
            key, (_, then) = next(iter(self._spent.items()))
            if now - then < _FULL_AGAIN_SECONDS:
                return
            del self._spent[key]
