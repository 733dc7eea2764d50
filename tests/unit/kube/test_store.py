from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.store import Store


def obj(name: str, version: int, uid: str = "u", **labels: str) -> Json:
    return {
        "metadata": {
            "name": name,
            "namespace": "n",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": labels,
        }
    }


class Told:
    """A store that remembers what it told."""

    def __init__(self) -> None:
        self.changes: list[tuple[Any, Any]] = []
        self.store = Store(
            lambda each: each["metadata"]["labels"].get("team"),
            lambda old, new: self.changes.append((old, new)),
        )


def test_an_event_is_kept_indexed_and_told() -> None:
    told = Told()
    told.store.put(obj("a", 1, team="x"))
    assert told.store.get(("n", "a")) == obj("a", 1, team="x")
    assert told.store.by_index("x") == (obj("a", 1, team="x"),)
    assert told.changes == [(None, obj("a", 1, team="x"))]


def test_an_object_that_changes_its_group_leaves_the_old_one() -> None:
    told = Told()
    told.store.put(obj("a", 1, team="x"))
    told.store.put(obj("a", 2, team="y"))
    assert told.store.by_index("x") == ()
    assert len(told.store.by_index("y")) == 1


def test_an_older_event_never_replaces_our_own_newer_write() -> None:
    told = Told()
    told.store.put(obj("a", 1))
    told.store.observe(obj("a", 5))
    told.store.put(obj("a", 3))
    assert told.store.get(("n", "a")) == obj("a", 5)


def test_a_late_reply_does_not_bring_back_what_the_watch_saw_deleted() -> None:
    told = Told()
    told.store.put(obj("a", 1))
    told.store.remove(obj("a", 9))
    told.store.observe(obj("a", 5))
    assert told.store.get(("n", "a")) is None


def test_a_deletion_of_an_older_object_does_not_remove_its_successor() -> None:
    told = Told()
    told.store.observe(obj("a", 7, uid="new"))
    told.store.remove(obj("a", 6, uid="old"))
    held = told.store.get(("n", "a"))
    assert held is not None
    assert held["metadata"]["uid"] == "new"


def test_a_list_tells_what_vanished_and_stays_silent_on_what_is_the_same() -> None:
    told = Told()
    told.store.put(obj("a", 1))
    told.store.put(obj("b", 2))
    told.changes.clear()
    told.store.reset([obj("a", 1)], version=8)
    assert told.changes == [(obj("b", 2), None)]


def test_a_list_does_not_remove_what_we_wrote_after_it() -> None:
    told = Told()
    told.store.observe(obj("a", 9))
    told.store.reset([], version=8)
    assert told.store.get(("n", "a")) is not None


def test_a_version_is_stored_until_a_newer_one_comes() -> None:
    told = Told()
    assert not told.store.has(obj("a", 1))
    told.store.put(obj("a", 5))
    assert told.store.has(obj("a", 4))
    assert told.store.has(obj("a", 5))
    assert not told.store.has(obj("a", 6))


versions = st.lists(st.integers(1, 50), min_size=1, max_size=20)


@given(versions)
def test_events_in_any_order_leave_the_newest(seen: list[int]) -> None:
    told = Told()
    for version in seen:
        told.store.put(obj("a", version))
    assert told.store.get(("n", "a")) == obj("a", max(seen))
    shown = [int(new["metadata"]["resourceVersion"]) for _, new in told.changes]
    assert shown == sorted(set(shown))
