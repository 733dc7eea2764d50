"""Counts of what is held now, by holder and in all."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

ALL_TOGETHER: Final = ""


@dataclass(slots=True)
class Shares:
    """What holders hold now, in units that the owner chooses: slots or bytes.

    Something may count for several holders, as for a service account and for its namespace.
    """

    overall: int
    """What all holders may hold together."""
    total: int = 0
    """What all hold now."""
    _amounts: Counter[str] = field(default_factory=Counter)

    def exceeded(self, limits: Mapping[str, int], amount: int = 1) -> str | None:
        """Return the first holder whose limit does not allow so much more.

        ALL_TOGETHER when only the overall limit does not; None when all limits allow it.
        """
        for holder, limit in limits.items():
            if self._amounts[holder] + amount > limit:
                return holder
        return ALL_TOGETHER if self.total + amount > self.overall else None

    def hold(self, holders: Iterable[str], amount: int = 1) -> None:
        """Count so much more."""
        self.total += amount
        for holder in holders:
            self._amounts[holder] += amount

    def release(self, holders: Iterable[str], amount: int = 1) -> None:
        """Count so much less, and forget a holder of nothing."""
        self.total -= amount
        for holder in holders:
            self._amounts[holder] -= amount
            if not self._amounts[holder]:
                del self._amounts[holder]

    @contextmanager
    def growing(self, limits: Mapping[str, int]) -> Iterator[Callable[[int], str | None]]:
        """Yield a function that counts so much more until the block ends.

        It returns what `exceeded` returns, and counts nothing unless all limits allow it.
        """
        total = 0

        def grow(amount: int) -> str | None:
            nonlocal total
            holder = self.exceeded(limits, amount)
            if holder is None:
                self.hold(limits, amount)
                total += amount
            return holder

        try:
            yield grow
        finally:
            self.release(limits, total)
