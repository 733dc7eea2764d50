"""Waiting for changes: all readers are woken together."""

import asyncio

from aichat_workspace.api.workspaces.change_log import Change, ChangeLog, ChangeType
from aichat_workspace.api.workspaces.views import view
from tests.unit.domain.samples import workspace


def _change(version: int) -> Change:
    sample = workspace()
    metadata = {
        "name": sample.name,
        "namespace": sample.namespace,
        "uid": sample.uid,
        "resourceVersion": str(version),
        "creationTimestamp": "2026-11-23T11:00:00Z",
    }
    spec = {"workspaceName": "team-a-aichat"}
    view_of_sample = view({"metadata": metadata, "spec": spec})
    return Change(version, ChangeType.MODIFIED, view_of_sample.key, view_of_sample)


async def test_a_wait_says_whether_there_is_a_change() -> None:
    changes = ChangeLog()
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiter.set_result(None)
    assert not await changes.wait_for_change(0, waiter)
    changes.add(_change(7))
    async with asyncio.timeout(30):
        assert await changes.wait_for_change(0)


async def test_changes_in_quick_succession_wake_readers_once() -> None:
    changes = ChangeLog()
    waiting = await _begin(changes)
    for version in range(5):
        changes.add(_change(version))
        await asyncio.sleep(0)
    assert not waiting.done()
    async with asyncio.timeout(30):
        assert await waiting
    assert changes.end == 5


async def test_a_cancelled_wait_does_not_cancel_the_others() -> None:
    changes = ChangeLog()
    waiting, cancelled = await _begin(changes), await _begin(changes)
    cancelled.cancel()
    await asyncio.sleep(0)
    changes.add(_change(1))
    async with asyncio.timeout(30):
        assert await waiting
    assert cancelled.cancelled()


async def test_nothing_stays_of_a_wait_that_ended_without_a_change() -> None:
    """Else a thousand readers of a quiet cluster would leave one more at each heartbeat."""
    changes = ChangeLog()
    for _ in range(3):
        waiting = await _begin(changes)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert changes._waiters == set()


async def _begin(changes: ChangeLog) -> "asyncio.Task[bool]":
    """Wait for the first change, in a task of its own."""
    waiting = asyncio.create_task(changes.wait_for_change(0))
    await asyncio.sleep(0)
    return waiting


async def test_changes_without_waiting_readers_need_no_event_loop() -> None:
    changes = ChangeLog()
    await asyncio.to_thread(changes.add, _change(1))
    assert changes.end == 1
