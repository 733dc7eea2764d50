"""Answers that are asked for once and hold for seconds."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Fresh(Generic[K, V]):
    """Keeps each answer for `seconds` and at most `most` of them, the oldest going first. Who asks
    while a question is under way waits for its answer; a failed question is asked again."""

    def __init__(
        self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._asked: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        held = self._answers.get(key)
        if held is not None and held[0] > self._clock():
            return held[1]
        task = self._asked.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, ask))
            self._asked[key] = task
            task.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(task)  # whoever gives up does not take the others along

    async def _ask(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        answer = await ask()
        self._answers.pop(key, None)
        self._answers[key] = (self._clock() + self._seconds, answer)
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)
        return answer

    def _answered(self, key: K, task: "asyncio.Task[V]") -> None:
        self._asked.pop(key, None)
        if not task.cancelled():
            task.exception()  # it was told to whoever waited
