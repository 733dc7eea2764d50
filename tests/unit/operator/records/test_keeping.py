import asyncio

import pytest
import structlog

from aichat_workspace.kube.errors import ApiError
from aichat_workspace.operator.records import keeping
from tests.unit.waiting import turns


@pytest.mark.parametrize(
    ("fault", "logged"),
    [
        (ApiError(503, "ServiceUnavailable", "later"), ("warning", "the work failed")),
        (ZeroDivisionError(), ("error", "the work crashed")),
    ],
)
async def test_a_fault_is_logged_and_the_work_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, logged: tuple[str, str]
) -> None:
    monkeypatch.setattr(keeping, "_RETRY_SECONDS", 0.0)
    faults, done = [fault], asyncio.Event()

    async def attempt() -> None:
        if faults:
            raise faults.pop()
        done.set()

    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(keeping.keep("the work", asyncio.Event(), attempt))
        async with asyncio.timeout(30):
            await done.wait()
        task.cancel()
    assert [(line["log_level"], line["event"]) for line in logs] == [logged]


async def test_it_is_done_at_once_and_again_only_when_something_has_moved() -> None:
    moved = asyncio.Event()
    attempts: list[int] = []

    async def attempt() -> None:
        attempts.append(len(attempts))

    task = asyncio.create_task(keeping.keep("the work", moved, attempt))
    await turns()
    assert attempts == [0]
    moved.set()
    await turns()
    assert attempts == [0, 1]
    task.cancel()
