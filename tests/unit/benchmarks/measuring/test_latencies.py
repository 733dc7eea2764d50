"""The benchmarks' own arithmetic: a figure that is wrong is worse than none."""

import asyncio

from benchmarks.measuring.latencies import latencies, paced


def test_a_percentile_is_a_latency_that_was_measured() -> None:
    measured = latencies([number / 1000 for number in range(100, 0, -1)])
    assert measured.quantile(0.5) == 0.05
    assert measured.quantile(0.99) == 0.099
    assert measured.quantile(1) == 0.1
    assert latencies([0.003]).quantile(0.99) == 0.003
    assert str(measured) == "p50 50.0 ms, p99 99.0 ms"


async def test_a_stall_is_felt_by_all_that_it_held_up() -> None:
    gate = asyncio.Lock()

    async def call(n: int) -> None:
        async with gate:
            await asyncio.sleep(0.1 if n == 0 else 0)

    measured = await paced(call, per_second=100, seconds=0.05)
    assert len(measured.seconds) == 5
    assert measured.quantile(0) >= 0.05
