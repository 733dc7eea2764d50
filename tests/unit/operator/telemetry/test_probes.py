from collections.abc import AsyncIterator

import aiohttp
import pytest

from aichat_workspace.operator.telemetry import probes
from localcluster.ports import free_port


class Told:
    problem = ""


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def address(told: Told) -> AsyncIterator[str]:
    port = free_port()
    async with probes.serve(port, lambda: told.problem, lambda: (b"up 1\n", "text/plain")):
        yield f"http://127.0.0.1:{port}"


async def asked(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_it_is_ready_cancel_on_disconnect_is_no_problem_and_else_says_which(
    address: str, told: Told
) -> None:
    assert await asked(f"{address}/readyz") == (200, "ok\n")
    told.problem = "the watch of Pod is silent"
    assert await asked(f"{address}/readyz") == (503, "the watch of Pod is silent\n")


async def test_it_is_alive_whatever_its_problem_is(address: str, told: Told) -> None:
    told.problem = "not confined"
    assert await asked(f"{address}/healthz") == (200, "ok\n")


async def test_metrics_are_served_as_they_are_read(address: str) -> None:
    assert await asked(f"{address}/metrics") == (200, "up 1\n")
