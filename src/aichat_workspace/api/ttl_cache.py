"""Answers that are kept for some seconds, and shared by all who ask meanwhile."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Final, Generic, TypeVar, cast

_RENEW_SHARE: Final = 0.6
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TtlCache(Generic[K, V]):
    """Keeps each answer for `seconds`, and at most `max_answers` of them; the oldest go first.

    Concurrent calls for a key share one request. A failed request is repeated by the next call. An
    answer that is used in the last part of its time is renewed in the background, so frequent
    callers never wait. Callers may accept other ages with `max_age_seconds`.
    """

    def __init__(
        self, seconds: float, max_answers: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._max_answers = max_answers
        self._clock = clock
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._requests: dict[K, asyncio.Task[V]] = {}

    async def get(
        self, key: K, fetch: Callable[[], Awaitable[V]], max_age_seconds: float | None = None
    ) -> V:
        """Return the answer for a key. Raises what `fetch` raises."""
        max_age = self._seconds if max_age_seconds is None else max_age_seconds
        requested_at, answer = self._answers.get(key, (None, None))
        age = max_age if requested_at is None else self._clock() - requested_at
        if age < max_age * _RENEW_SHARE:
            return cast("V", answer)
        request = self._requests.get(key) or self._start(key, fetch)
        if age < max_age:
            return cast("V", answer)
        return await asyncio.shield(request)  # a cancelled caller must not cancel the others

    def has(self, key: K, max_age_seconds: float | None = None) -> bool:
        """Return whether `get` answers without waiting."""
        max_age = self._seconds if max_age_seconds is None else max_age_seconds
        requested_at, _ = self._answers.get(key, (None, None))
        return requested_at is not None and self._clock() - requested_at < max_age

    def last(self, key: K) -> V | None:
        """Return the last answer, however old; None without one."""
        return self._answers.get(key, (0.0, None))[1]

    def _start(self, key: K, fetch: Callable[[], Awaitable[V]]) -> "asyncio.Task[V]":
        request = self._requests[key] = asyncio.create_task(self._fetch(key, fetch))
        request.add_done_callback(lambda done: self._finish(key, done))
        return request

    async def _fetch(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        requested_at = self._clock()
        answer = await fetch()
        self._answers.pop(key, None)
        self._answers[key] = (requested_at, answer)
        while len(self._answers) > self._max_answers:
            self._answers.popitem(last=False)
        return answer

    def _finish(self, key: K, request: "asyncio.Task[V]") -> None:
        self._requests.pop(key, None)
        if not request.cancelled():
            request.exception()  # all who waited got it; without this asyncio would log it, too


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
