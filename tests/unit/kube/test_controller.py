import asyncio
from collections.abc import Awaitable, Callable

import pytest
import structlog

from aichat_workspace.kube.controller import Controller, Result
from aichat_workspace.kube.errors import ApiError
from aichat_workspace.kube.work_queue import Queue, retry_delay_seconds

Reconcile = Callable[[str], Awaitable[Result]]


async def run(queue: Queue[str], reconcile: Reconcile, until: asyncio.Event) -> None:
    running = asyncio.create_task(Controller(queue, reconcile, workers=2).run())
    async with asyncio.timeout(30):
        await until.wait()
    running.cancel()


async def test_a_failed_key_is_retried_also_after_a_bug() -> None:
    queue: Queue[str] = Queue()
    done = asyncio.Event()
    calls: list[str] = []

    async def reconcile(key: str) -> Result:
        calls.append(key)
        if len(calls) == 1:
            raise ApiError(500, "InternalError", "no")
        if len(calls) == 2:
            raise ZeroDivisionError
        done.set()
        return Result()

    queue.add("a")
    await run(queue, reconcile, done)
    assert calls == ["a", "a", "a"]


async def test_a_waiting_reconcile_delays_no_other() -> None:
    queue: Queue[str] = Queue()
    done = asyncio.Event()

    async def reconcile(key: str) -> Result:
        if key == "slow":
            await asyncio.sleep(60)
        done.set()
        return Result()

    queue.add("slow")
    queue.add("quick")
    await run(queue, reconcile, done)


async def test_a_result_may_requeue_its_key() -> None:
    queue: Queue[str] = Queue()
    done = asyncio.Event()
    calls: list[str] = []

    async def reconcile(key: str) -> Result:
        calls.append(key)
        if len(calls) == 2:
            done.set()
        return Result(requeue_after_seconds=0.001)

    queue.add("a")
    await run(queue, reconcile, done)
    assert calls[:2] == ["a", "a"]


async def test_reconciles_that_always_change_something_become_slow() -> None:
    """Each succeeds, and its own write brings the next one, as in a fight with another writer."""
    queue: Queue[str] = Queue()
    calls: list[str] = []

    async def reconcile(key: str) -> Result:
        calls.append(key)
        if len(calls) == 30:
            spent.set()
        queue.add(key)
        return Result(cost=1.0)

    spent = asyncio.Event()
    queue.add("a")
    started = asyncio.get_running_loop().time()
    running = asyncio.create_task(Controller(queue, reconcile, workers=2).run())
    async with asyncio.timeout(30):
        await spent.wait()
    await asyncio.sleep(0.3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    minutes = (asyncio.get_running_loop().time() - started) / 60
    assert len(calls) <= 32 + 6 * minutes, "six a minute from then on"


async def test_a_report_of_progress_does_not_shorten_the_wait_after_failures() -> None:
    queue: Queue[str] = Queue()
    calls: list[str] = []
    done = asyncio.Event()

    async def reconcile(key: str) -> Result:
        calls.append(key)
        if len(calls) <= 3:
            raise ApiError(503, "ServiceUnavailable", "later")
        done.set()
        return Result(is_whole=False)

    queue.add("a")
    running = asyncio.create_task(Controller(queue, reconcile, workers=1).run())
    async with asyncio.timeout(30):
        await done.wait()
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert queue.retry("a") >= 0.75 * retry_delay_seconds(4), "the fourth failure, not the first"


@pytest.mark.parametrize("error", [ApiError(500, "InternalError", "no"), ZeroDivisionError()])
async def test_the_same_failure_of_a_key_is_logged_once(error: Exception) -> None:
    queue: Queue[str] = Queue()
    done = asyncio.Event()
    calls: list[str] = []

    async def reconcile(key: str) -> Result:
        calls.append(key)
        if len(calls) == 5:
            done.set()
            return Result()
        raise error if len(calls) < 4 else KeyError

    with structlog.testing.capture_logs() as logs:
        queue.add("a")
        await run(queue, reconcile, done)
    assert len(calls) == 5
    assert len([line for line in logs if line["event"].startswith("reconcile ")]) == 2


async def test_the_failure_of_a_worker_ends_the_controller() -> None:
    """A process without workers must not look healthy."""
    queue: Queue[str] = Queue()

    async def reconcile(_: str) -> Result:
        return Result()

    def on_reconcile(*_: object) -> None:
        raise ZeroDivisionError

    queue.add("a")
    controller = Controller(queue, reconcile, workers=2, on_reconcile=on_reconcile)
    async with asyncio.timeout(30):
        with pytest.raises(ZeroDivisionError):
            await controller.run()


async def test_a_running_reconcile_ends_before_the_controller_stops() -> None:
    queue: Queue[str] = Queue()
    started = asyncio.Event()
    written: list[str] = []

    async def reconcile(key: str) -> Result:
        started.set()
        await asyncio.sleep(0.05)
        written.append(key)
        return Result()

    queue.add("a")
    running = asyncio.create_task(Controller(queue, reconcile, workers=1).run())
    await started.wait()
    queue.add("b")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert written == ["a"]
