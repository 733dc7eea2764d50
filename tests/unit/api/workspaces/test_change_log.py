import asyncio

from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.api.workspaces.change_log import Change, ChangeLog, ChangeType
from tests.unit.api.samples import shown


def change(version: int, name: str = "a", kind: ChangeType = ChangeType.MODIFIED) -> Change:
    view = shown(name, version=version)
    return Change(version, kind, view.key, view)


def log(most: int, *versions: int) -> ChangeLog:
    changes = ChangeLog(most)
    for version in versions:
        changes.add(change(version, f"w{version}"))
    return changes


def test_a_reader_gets_what_came_after_its_position() -> None:
    changes = log(10, 1, 2, 3)
    assert [each.version for each in changes.since(1) or ()] == [2, 3]
    assert changes.since(changes.end) == []


def test_a_log_keeps_at_least_so_many_and_never_twice_as_many() -> None:
    changes = log(10, *range(1, 100))
    kept = changes.since(changes.end - 10)
    assert kept is not None
    assert len(kept) == 10
    assert changes.since(changes.end - 21) is None


def test_a_position_that_has_fallen_off_is_told_as_such() -> None:
    changes = log(2, *range(1, 20))
    assert changes.since(0) is None
    assert changes.position_after(1) is None
    assert changes.position_after(19) == changes.end


def test_nothing_is_known_of_what_was_before_the_beginning() -> None:
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
    """So that the log is no larger than what it is of, however often that changes."""
    changes = ChangeLog(10)
    for version in range(1, 6):
        changes.add(change(version))
    changes.add(change(6, "b"))
    views = [each.view for each in changes.since(0) or ()]
    assert [view and view.version for view in views] == [None, None, None, None, 5, 6]


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 6), st.data())
def test_whoever_reads_on_knows_every_last_state(
    names: list[str], most: int, data: st.DataObject
) -> None:
    changes = ChangeLog(most)
    known: dict[str, int] = {}
    last: dict[str, int] = {}
    position = 0
    for version, name in enumerate(names, start=1):
        changes.add(change(version, name))
        last[name] = version
        if data.draw(st.booleans()):
            position = _read(changes, position, known, last)
    _read(changes, position, known, last)
    assert known == last


def _read(changes: ChangeLog, position: int, known: dict[str, int], last: dict[str, int]) -> int:
    news = changes.since(position)
    if news is None:
        known.update(last)
        return changes.end
    for each in news:
        if each.view is not None:
            assert each.version >= known.get(each.view.name, 0)
            known[each.view.name] = each.version
    return position + len(news)


async def test_whoever_waits_is_woken_by_the_next_change() -> None:
    changes = ChangeLog()
    waiting = [asyncio.create_task(changes.wait_for_change(0)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    changes.add(change(1))
    await asyncio.wait_for(asyncio.gather(*waiting), 30)
    await changes.wait_for_change(0)
