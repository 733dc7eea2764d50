"""Send requests at a steady pace and time them."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Call = Callable[[int], Awaitable[None]]
"""The n-th request. Raises when the response is not the expected one."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Latencies in seconds, sorted."""

    seconds: Sequence[float]

    def quantile(self, share: float) -> float:
        """Return the latency that this share of all did not exceed."""
        return self.seconds[max(math.ceil(share * len(self.seconds)) - 1, 0)]

    def __str__(self) -> str:
        p50, p99 = self.quantile(0.5) * 1000, self.quantile(0.99) * 1000
        return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"

    def ratio_to(self, other: "Latencies", what: str) -> str:
        p50, p99 = (self.quantile(share) / other.quantile(share) for share in (0.5, 0.99))
        return f"p50 {p50:.2f} and p99 {p99:.2f} times {what} ({other})"


def latencies(seconds: Sequence[float]) -> Latencies:
    return Latencies(sorted(seconds))


async def one_by_one(call: Call, count: int) -> Latencies:
    """Begin each request when the last has ended, for a server that may not keep up."""
    times: list[float] = []
    for n in range(count):
        begin = time.perf_counter()
        await call(n)
        times.append(time.perf_counter() - begin)
    return latencies(times)


async def paced(call: Call, per_second: float, seconds: float) -> Latencies:
    """Begin requests by the clock, whether or not earlier ones have ended.

    A latency counts from when its request was due, so that a stall shows in all requests behind it.
    """
    times: list[float] = []
    begin = time.perf_counter()

    async def send(n: int, due: float) -> None:
        await call(n)
        times.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for n in range(round(per_second * seconds)):
            due = begin + n / per_second
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            group.create_task(send(n, due))
    return latencies(times)
