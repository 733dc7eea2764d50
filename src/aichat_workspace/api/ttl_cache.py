"""Answers that are kept for some seconds, and shared by all who ask meanwhile."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from itertools import count
from typing import Final, Generic, TypeVar, cast

_RENEW_SHARE: Final = 0.6
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Request(Generic[V]):
    task: "asyncio.Task[V]"
    waiters: int = 0


class TtlCache(Generic[K, V]):
    """Keeps each answer for `seconds`, and at most `max_answers` of them; the oldest go first.

    Concurrent calls for a key share one request, which is cancelled with the last of them. A failed
    request is repeated by the next call. An answer that is used in the last part of its time is
    renewed in the background, so frequent callers never wait.
    """

    def __init__(
        self, seconds: float, max_answers: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._max_answers = max_answers
        self._clock = clock
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._requests: dict[K, _Request[V]] = {}

    async def get(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        """Return the answer for a key. Raises what `fetch` raises."""
        requested_at, answer = self._answers.get(key, (None, None))
        age = self._seconds if requested_at is None else self._clock() - requested_at
        if age < self._seconds * _RENEW_SHARE:
            return cast("V", answer)
        request = self._requests.get(key) or self._start(key, fetch)
        if age < self._seconds:
            return cast("V", answer)
        request.waiters += 1
        try:
            return await asyncio.shield(request.task)  # other callers may wait for it, too
        finally:
            request.waiters -= 1
            if not request.waiters and not request.task.done():
                self._forget(key, request)
                request.task.cancel()

    def _start(self, key: K, fetch: Callable[[], Awaitable[V]]) -> _Request[V]:
        request = self._requests[key] = _Request(asyncio.create_task(self._fetch(key, fetch)))
        request.task.add_done_callback(lambda _: self._finish(key, request))
        return request

    async def _fetch(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        requested_at = self._clock()
        answer = await fetch()
        self._answers.pop(key, None)
        self._answers[key] = (requested_at, answer)
        while len(self._answers) > self._max_answers:
            self._answers.popitem(last=False)
        return answer

    def _finish(self, key: K, request: _Request[V]) -> None:
        self._forget(key, request)
        if not request.task.cancelled():
            request.task.exception()  # who waited got it; without this asyncio would log it, too

    def _forget(self, key: K, request: _Request[V]) -> None:
        if self._requests.get(key) is request:
            del self._requests[key]


class CoalescedCall(Generic[V]):
    """Runs one request at a time, and shares its answer with all calls made before it began.

    A call made later waits for the next request: an answer must not be older than its call.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._ticks = count()
        self._began = -1
        self._answer: V | None = None

    async def get(self, fetch: Callable[[], Awaitable[V]]) -> V:
        """Return an answer that is no older than this call. Raises what `fetch` raises."""
        called = next(self._ticks)
        async with self._lock:
            if self._began < called:
                began = next(self._ticks)
                self._answer = await fetch()
                self._began = began
            return cast("V", self._answer)
