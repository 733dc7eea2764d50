"""Whoever waits for changes is woken by them, with all the others and at no cost to them."""

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
    shown = view({"metadata": metadata, "spec": spec})
    return Change(version, ChangeType.MODIFIED, shown.key, shown)


async def test_all_who_wait_share_one_thing_to_wait_for_and_are_woken_by_one_change() -> None:
    changes = ChangeLog()
    waiting = changes.next_change(changes.end)
    assert changes.next_change(changes.end) is waiting
    changes.add(_change(7))
    async with asyncio.timeout(30):
        await waiting
    assert changes.next_change(0).done()
    assert not changes.next_change(changes.end).done()


async def test_changes_in_quick_succession_wake_once() -> None:
    changes = ChangeLog()
    waiting = changes.next_change(changes.end)
    for version in range(5):
        changes.add(_change(version))
        await asyncio.sleep(0)
    assert not waiting.done()
    async with asyncio.timeout(30):
        await waiting
    assert changes.end == 5


async def test_who_gives_up_waiting_takes_nobody_along() -> None:
    changes = ChangeLog()
    patient = changes.next_change(0)
    hasty = asyncio.create_task(changes.wait_for_change(0))
    await asyncio.sleep(0)
    hasty.cancel()
    await asyncio.sleep(0)
    assert not patient.cancelled()
    changes.add(_change(1))
    async with asyncio.timeout(30):
        await patient


async def test_changes_that_nobody_waits_for_need_no_event_loop_s_attention() -> None:
    changes = ChangeLog()
    await asyncio.to_thread(changes.add, _change(1))
    assert changes.end == 1
