"""Answers that are asked for once and hold for seconds."""

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
    """Keeps each answer for `seconds` after it was asked for, and at most `most` of them, the
    oldest going first. Who asks while a question is under way waits for its answer; a failed
    question is asked again. An answer that is wanted in the last part of its time is renewed
    beside, so that who asks all the time never waits. Who asks may bear an older one: `seconds`."""

    def __init__(
        self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._asked: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[V]], seconds: float | None = None) -> V:
        borne = self._seconds if seconds is None else seconds
        asked_at, answer = self._answers.get(key, (None, None))
        age = borne if asked_at is None else self._clock() - asked_at
        if age < borne * _RENEW_SHARE:
            return cast("V", answer)
        task = self._asked.get(key) or self._begin(key, ask)
        if age < borne:
            return cast("V", answer)
        return await asyncio.shield(task)  # whoever gives up does not take the others along

    def has(self, key: K, seconds: float | None = None) -> bool:
        """Whether `get` answers without waiting."""
        held = self._answers.get(key)
        borne = self._seconds if seconds is None else seconds
        return held is not None and self._clock() - held[0] < borne

    def last(self, key: K) -> V | None:
        """The last answer, however old; None for none."""
        return self._answers.get(key, (0.0, None))[1]

    def _begin(self, key: K, ask: Callable[[], Awaitable[V]]) -> "asyncio.Task[V]":
        task = self._asked[key] = asyncio.create_task(self._ask(key, ask))
        task.add_done_callback(lambda done: self._answered(key, done))
        return task

    async def _ask(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        asked_at = self._clock()
        answer = await ask()
        self._answers.pop(key, None)
        self._answers[key] = (asked_at, answer)
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)
        return answer

    def _answered(self, key: K, task: "asyncio.Task[V]") -> None:
        self._asked.pop(key, None)
        if not task.cancelled():
            task.exception()  # it was told to whoever waited


class CoalescedCall(Generic[V]):
    """One question at a time. Its answer is for all who had asked when it was put, and for nobody
    who asked later: an answer may be older than whoever asks."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._time = count()
        self._put = -1
        self._answer: V | None = None

    async def get(self, ask: Callable[[], Awaitable[V]]) -> V:
        asked = next(self._time)
        async with self._lock:
            if self._put < asked:
                put = next(self._time)
                self._answer = await ask()
                self._put = put
            return cast("V", self._answer)
