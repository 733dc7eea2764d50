from collections.abc import AsyncIterator

import aiohttp
import pytest

from aichat_workspace.runtime import probes
from localcluster.ports import free_port


class FakeOperator:
    problem = ""


@pytest.fixture
def operator() -> FakeOperator:
    return FakeOperator()


@pytest.fixture
async def address(operator: FakeOperator) -> AsyncIterator[str]:
    port = free_port()
    async with probes.serve(port, lambda: operator.problem, lambda: (b"up 1\n", "text/plain")):
        yield f"http://127.0.0.1:{port}"


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_it_is_ready_without_a_problem_and_names_one_otherwise(
    address: str, operator: FakeOperator
) -> None:
    assert await get(f"{address}/readyz") == (200, "ok\n")
    operator.problem = "the watch of Pod is silent"
    assert await get(f"{address}/readyz") == (503, "the watch of Pod is silent\n")


async def test_it_is_alive_with_a_problem(address: str, operator: FakeOperator) -> None:
    operator.problem = "not confined"
    assert await get(f"{address}/healthz") == (200, "ok\n")


async def test_metrics_are_served(address: str) -> None:
    assert await get(f"{address}/metrics") == (200, "up 1\n")
