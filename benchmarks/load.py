"""Requests at a steady pace, and how long each took."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Call = Callable[[int], Awaitable[None]]
"""The n-th request. Raises when the answer is not the one that is measured."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """In seconds, sorted."""

    seconds: Sequence[float]

    def at(self, share: float) -> float:
        """The latency that this share of all did not exceed."""
        return self.seconds[max(math.ceil(share * len(self.seconds)) - 1, 0)]

    def __str__(self) -> str:
        p50, p99 = self.at(0.5) * 1000, self.at(0.99) * 1000
        return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"

    def ratio_to(self, other: "Latencies", what: str) -> str:
        p50, p99 = (self.at(share) / other.at(share) for share in (0.5, 0.99))
        return f"p50 {p50:.2f} and p99 {p99:.2f} times {what} ({other})"


def latencies(seconds: Sequence[float]) -> Latencies:
    return Latencies(sorted(seconds))


async def one_by_one(call: Call, count: int) -> Latencies:
    """Each begins when the one before has ended: for what a machine may not keep up with."""
    took: list[float] = []
    for n in range(count):
        begin = time.perf_counter()
        await call(n)
        took.append(time.perf_counter() - begin)
    return latencies(took)


async def paced(call: Call, per_second: float, seconds: float) -> Latencies:
    """Begin requests by the clock, whether or not those before have ended. A latency counts from
    when the request was due, so that a stall is felt by all that it held up."""
    took: list[float] = []
    begin = time.perf_counter()

    async def one(n: int, due: float) -> None:
        await call(n)
        took.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for n in range(round(per_second * seconds)):
            due = begin + n / per_second
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            group.create_task(one(n, due))
    return latencies(took)
