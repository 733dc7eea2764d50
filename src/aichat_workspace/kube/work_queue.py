"""A work queue: each key once, by one worker at a time, and again if it was added meanwhile.

The semantics are those of client-go's workqueue, on which Kubernetes controllers are built:
https://pkg.go.dev/k8s.io/client-go/util/workqueue
"""

import asyncio
import random
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from aichat_workspace.kube.write_budgets import WriteBudgets

K = TypeVar("K", bound=Hashable)

_FIRST_RETRY_SECONDS: Final = 0.05
_MAX_RETRY_SECONDS: Final = 60.0


def retry_delay_seconds(failures: int) -> float:
    """Return 50 ms after the first failure, twice as much after each further one, at most 60 s."""
    return min(_FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16), _MAX_RETRY_SECONDS)


class Queue(Generic[K]):
    """A queue for one event loop. No method blocks it."""

    def __init__(self, on_wait: Callable[[float], None] = lambda _: None) -> None:
        """`on_wait` is called with the seconds that each key waited for its worker."""
        self._on_wait = on_wait
        self._ready: dict[K, float] = {}  # key: loop seconds when added; first in, first out
        self._active: set[K] = set()
        self._again: set[K] = set()
        self._whole: set[K] = set()
        self._later: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._budgets: WriteBudgets[K] = WriteBudgets()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: K) -> None:
        """Queue a key; one that has spent its budget, only when it may be worked on."""
        wait_seconds = self._budgets.wait_seconds(key)
        if wait_seconds > 0:
            self.add_after(key, wait_seconds)
            return
        if (timer := self._later.pop(key, None)) is not None:
            timer.cancel()
        self._whole.add(key)
        self.add_progress(key)

    def add_progress(self, key: K) -> None:
        """Queue a key for its progress alone, unless it is queued anyway."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = asyncio.get_running_loop().time()
            self._wake.set()

    def reset_wait_times(self) -> None:
        """Start the workers' time now: before, the keys did not wait for a worker."""
        self._ready = dict.fromkeys(self._ready, asyncio.get_running_loop().time())

    def add_after(self, key: K, delay_seconds: float) -> None:
        """Queue a key later, unless it is to be queued sooner already."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_seconds
        timer = self._later.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._later[key] = loop.call_at(due, self._due, key)

    def retry(self, key: K, at_least_seconds: float = 0.0) -> float:
        """Queue a failed key, later each time. Returns the delay in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        jitter = random.uniform(0.75, 1.0)  # noqa: S311  (jitter, not a secret)
        delay = max(at_least_seconds, retry_delay_seconds(failures) * jitter)
        self.add_after(key, delay)
        return delay

    def spend(self, key: K, tokens: float) -> None:
        """Charge a key for what its work has written (see `write_budgets`)."""
        self._budgets.spend(key, tokens)

    def forget(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for a key; return the one that has waited longest. `done` must follow."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._ready))
        self._on_wait(asyncio.get_running_loop().time() - self._ready.pop(key))
        self._active.add(key)
        return key

    def take_whole(self, key: K) -> bool:
        """Whether a key that `get` returned was queued for more than its progress; asked once."""
        is_whole = key in self._whole
        self._whole.discard(key)
        return is_whole

    def done(self, key: K) -> None:
        self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
            again = self.add if key in self._whole else self.add_progress
            again(key)

    def _due(self, key: K) -> None:
        self._later.pop(key, None)
        self.add(key)
