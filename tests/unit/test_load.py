"""The benchmarks' own arithmetic: a figure that is wrong is worse than none."""

import asyncio

from benchmarks.load import latencies, paced
from benchmarks.operator import requests
from benchmarks.server import Look, upstream


def test_a_percentile_is_a_latency_that_was_measured() -> None:
    found = latencies([each / 1000 for each in range(100, 0, -1)])
    assert found.at(0.5) == 0.05
    assert found.at(0.99) == 0.099
    assert found.at(1) == 0.1
    assert latencies([0.003]).at(0.99) == 0.003
    assert str(found) == "p50 50.0 ms, p99 99.0 ms"


async def test_a_stall_is_felt_by_all_that_it_held_up() -> None:
    gate = asyncio.Lock()

    async def call(n: int) -> None:
        async with gate:
            await asyncio.sleep(0.1 if n == 0 else 0)

    found = await paced(call, per_second=100, seconds=0.05)
    assert len(found.seconds) == 5
    assert found.at(0) >= 0.05


def test_requests_upstream_are_told_apart() -> None:
    name = "aichat_api_kubernetes_requests_total"
    text = (
        f'{name}{{code="201",resource="reviews",verb="POST"}} 7.0\n'
        f'{name}{{code="200",resource="namespaces",verb="WATCH"}} 2.0\n'
        f'{name}{{code="200",resource="aichatworkspaces",verb="GET"}} 3.0\n'
    )
    before, after = Look(0, 1, 100, upstream("")), Look(10, 6, 100, upstream(text))
    assert after.asked_since(before) == "3, 7 reviews, 2 renewals of its own watches"
    assert after.cpu_since(before) == 0.5


def test_the_operators_requests_are_counted_without_watches_and_its_lease() -> None:
    name = "aichat_api_requests_total"
    text = (
        f'{name}{{code="200",resource="services",verb="APPLY"}} 2.0\n'
        f'{name}{{code="409",resource="services",verb="APPLY"}} 1.0\n'
        f'{name}{{code="200",resource="services",verb="WATCH"}} 4.0\n'
        f'{name}{{code="200",resource="leases",verb="PUT"}} 9.0\n'
    )
    assert requests(text) == {"APPLY services": 3}
