import asyncio

from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.api.workspaces.change_log import Change, ChangeLog, ChangeType
from tests.unit.api.samples import sample_view


def change(version: int, name: str = "a", kind: ChangeType = ChangeType.MODIFIED) -> Change:
    view = sample_view(name, version=version)
    return Change(version, kind, view.key, view)


def log(limit: int, *versions: int) -> ChangeLog:
    changes = ChangeLog(limit)
    for version in versions:
        changes.add(change(version, f"w{version}"))
    return changes


def test_a_reader_gets_what_came_after_its_position() -> None:
    changes = log(10, 1, 2, 3)
    assert [change.version for change in changes.since(1) or ()] == [2, 3]
    assert changes.since(changes.end) == []


def test_a_log_keeps_between_one_and_two_times_its_limit() -> None:
    changes = log(10, *range(1, 100))
    recent = changes.since(changes.end - 10)
    assert recent is not None
    assert len(recent) == 10
    assert changes.since(changes.end - 21) is None


def test_a_position_that_has_left_the_log_is_none() -> None:
    changes = log(2, *range(1, 20))
    assert changes.since(0) is None
    assert changes.position_after(1) is None
    assert changes.position_after(19) == changes.end


def test_a_version_before_the_beginning_of_the_log_has_no_position() -> None:
    changes = ChangeLog(10)
    changes.begin(5)
    changes.add(change(6))
    assert changes.position_after(4) is None
    assert changes.position_after(5) == 0
    assert changes.position_after(6) == 1


def test_changes_that_share_a_version_are_passed_together() -> None:
    changes = log(10, 1, 2, 2, 2, 3)
    assert changes.position_after(1) == 1
    assert changes.position_after(2) == 4


def test_only_the_newest_state_of_a_workspace_is_kept() -> None:
    """Else the log would be larger than the workspaces, which may change often."""
    changes = ChangeLog(10)
    for version in range(1, 6):
        changes.add(change(version))
    changes.add(change(6, "b"))
    views = [change.view for change in changes.since(0) or ()]
    assert [view and view.version for view in views] == [None, None, None, None, 5, 6]


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 6), st.data())
def test_a_reader_gets_the_last_state_of_every_workspace(
    names: list[str], limit: int, data: st.DataObject
) -> None:
    changes = ChangeLog(limit)
    versions: dict[str, int] = {}
    newest: dict[str, int] = {}
    position = 0
    for version, name in enumerate(names, start=1):
        changes.add(change(version, name))
        newest[name] = version
        if data.draw(st.booleans()):
            position = _read(changes, position, versions, newest)
    _read(changes, position, versions, newest)
    assert versions == newest


def _read(
    changes: ChangeLog, position: int, versions: dict[str, int], newest: dict[str, int]
) -> int:
    news = changes.since(position)
    if news is None:
        versions.update(newest)
        return changes.end
    for change in news:
        if change.view is not None:
            assert change.version >= versions.get(change.view.name, 0)
            versions[change.view.name] = change.version
    return position + len(news)


async def test_waiting_readers_are_woken_by_the_next_change() -> None:
    changes = ChangeLog()
    readers = [asyncio.create_task(changes.wait_for_change(0)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(reader.done() for reader in readers)
    changes.add(change(1))
    await asyncio.wait_for(asyncio.gather(*readers), 30)
    await changes.wait_for_change(0)


def test_what_a_reader_has_encoded_is_equal_readers_until_the_next_change() -> None:
    changes = log(10, 1)
    assert changes.share("whole", lambda: (b"1",)) == (b"1",)
    assert changes.share("whole", lambda: (b"never encoded",)) == (b"1",)
    assert changes.share("names", lambda: (b"name",)) == (b"name",)
    changes.add(change(2))
    assert changes.share("whole", lambda: (b"2",)) == (b"2",)


def test_few_readers_that_differ_share_since_it_stays_in_memory() -> None:
    changes = log(10, 1)
    for number in range(200):
        assert changes.share(number, lambda: (b"large",)) == (b"large",)
    assert len(changes._shared) == 64


async def test_a_wait_says_whether_there_is_a_change() -> None:
    changes = ChangeLog()
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiter.set_result(None)
    assert not await changes.wait_for_change(0, waiter)
    changes.add(change(7))
    async with asyncio.timeout(30):
        assert await changes.wait_for_change(0)


async def test_changes_in_quick_succession_wake_readers_once() -> None:
    changes = ChangeLog()
    waiting = await begin(changes)
    for version in range(5):
        changes.add(change(version))
        await asyncio.sleep(0)
    assert not waiting.done()
    async with asyncio.timeout(30):
        assert await waiting
    assert changes.end == 5


async def test_a_cancelled_wait_does_not_cancel_the_others() -> None:
    changes = ChangeLog()
    waiting, cancelled = await begin(changes), await begin(changes)
    cancelled.cancel()
    await asyncio.sleep(0)
    changes.add(change(1))
    async with asyncio.timeout(30):
        assert await waiting
    assert cancelled.cancelled()


async def test_nothing_stays_of_a_wait_that_ended_without_a_change() -> None:
    """Else a thousand readers of a quiet cluster would leave one more at each heartbeat."""
    changes = ChangeLog()
    for _ in range(3):
        waiting = await begin(changes)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert changes._waiters == set()


async def begin(changes: ChangeLog) -> "asyncio.Task[bool]":
    """Wait for the first change, in a task of its own."""
    waiting = asyncio.create_task(changes.wait_for_change(0))
    await asyncio.sleep(0)
    return waiting


async def test_changes_without_waiting_readers_need_no_event_loop() -> None:
    changes = ChangeLog()
    await asyncio.to_thread(changes.add, change(1))
    assert changes.end == 1
