"""Waiting for changes: all readers share one future, and are woken together."""

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


async def test_all_waiting_readers_share_one_future() -> None:
    changes = ChangeLog()
    waiting = changes.next_change(changes.end)
    assert changes.next_change(changes.end) is waiting
    changes.add(_change(7))
    async with asyncio.timeout(30):
        await waiting
    assert changes.next_change(0).done()
    assert not changes.next_change(changes.end).done()


async def test_changes_in_quick_succession_wake_readers_once() -> None:
    changes = ChangeLog()
    waiting = changes.next_change(changes.end)
    for version in range(5):
        changes.add(_change(version))
        await asyncio.sleep(0)
    assert not waiting.done()
    async with asyncio.timeout(30):
        await waiting
    assert changes.end == 5


async def test_a_cancelled_wait_does_not_cancel_the_others() -> None:
    changes = ChangeLog()
    waiting = changes.next_change(0)
    cancelled = asyncio.create_task(changes.wait_for_change(0))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.sleep(0)
    assert not waiting.cancelled()
    changes.add(_change(1))
    async with asyncio.timeout(30):
        await waiting


async def test_changes_without_waiting_readers_need_no_event_loop() -> None:
    changes = ChangeLog()
    await asyncio.to_thread(changes.add, _change(1))
    assert changes.end == 1
