from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.store import Store
from tests.fakes.listing import take_list


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


class RecordedStore:
    """A store, and the changes that it reported."""

    def __init__(self, *, is_packed: bool = False) -> None:
        self.changes: list[tuple[Any, Any]] = []
        self.store = Store(
            lambda old, new: self.changes.append((old, new)),
            lambda stored: stored["metadata"]["labels"].get("team"),
            is_packed,
        )


def test_an_event_is_stored_indexed_and_reported() -> None:
    recorded = RecordedStore()
    recorded.store.put(obj("a", 1, team="x"))
    assert recorded.store.get(("n", "a")) == obj("a", 1, team="x")
    assert recorded.store.by_index("x") == (obj("a", 1, team="x"),)
    assert recorded.changes == [(None, obj("a", 1, team="x"))]


def test_an_object_that_changes_its_group_leaves_the_old_one() -> None:
    recorded = RecordedStore()
    recorded.store.put(obj("a", 1, team="x"))
    recorded.store.put(obj("a", 2, team="y"))
    assert recorded.store.by_index("x") == ()
    assert len(recorded.store.by_index("y")) == 1


def test_an_older_event_never_replaces_our_own_newer_write() -> None:
    recorded = RecordedStore()
    recorded.store.put(obj("a", 1))
    recorded.store.observe(obj("a", 5))
    recorded.store.put(obj("a", 3))
    assert recorded.store.get(("n", "a")) == obj("a", 5)


def test_a_late_reply_does_not_restore_a_deleted_object() -> None:
    recorded = RecordedStore()
    recorded.store.put(obj("a", 1))
    recorded.store.remove(obj("a", 9))
    recorded.store.observe(obj("a", 5))
    assert recorded.store.get(("n", "a")) is None


def test_a_deletion_of_an_older_object_does_not_remove_its_successor() -> None:
    recorded = RecordedStore()
    recorded.store.observe(obj("a", 7, uid="new"))
    recorded.store.remove(obj("a", 6, uid="old"))
    stored = recorded.store.get(("n", "a"))
    assert stored is not None
    assert stored["metadata"]["uid"] == "new"


def test_a_list_reports_vanished_objects_and_not_unchanged_ones() -> None:
    recorded = RecordedStore()
    recorded.store.put(obj("a", 1))
    recorded.store.put(obj("b", 2))
    recorded.changes.clear()
    take_list(recorded.store, [obj("a", 1)], version=8)
    assert recorded.changes == [(obj("b", 2), None)]


def test_a_list_does_not_remove_a_later_write() -> None:
    recorded = RecordedStore()
    recorded.store.observe(obj("a", 9))
    recorded.store.reset([], version=8)
    assert recorded.store.get(("n", "a")) is not None


def test_a_list_that_is_older_than_what_is_known_replaces_it() -> None:
    recorded = RecordedStore()
    take_list(recorded.store, [obj("a", 900), obj("b", 950)], version=1000)
    recorded.store.observe(obj("c", 1001))
    take_list(recorded.store, [obj("a", 400)], version=500)
    assert [*recorded.store.all()] == [obj("a", 400)], "the backup had no b and no c"
    assert recorded.store.version == 500
    recorded.store.put(obj("a", 501))
    assert recorded.store.get(("n", "a")) == obj("a", 501)


def test_an_object_of_another_history_is_replaced_although_its_version_was_higher() -> None:
    recorded = RecordedStore()
    take_list(recorded.store, [obj("a", 900)], version=1000)
    take_list(recorded.store, [obj("a", 400)], version=1100)
    assert recorded.store.get(("n", "a")) == obj("a", 400)


def test_an_object_leaves_the_group_that_it_was_put_in_whatever_its_group_is_by_then() -> None:
    group = ["x"]
    store = Store(lambda *_: None, lambda _: group[0])
    store.put(obj("a", 1))
    group[0] = "y"
    store.put(obj("a", 2))
    assert (store.by_index("x"), len(store.by_index("y"))) == ((), 1)
    store.put(obj("b", 3))
    group[0] = "z"
    store.remove(obj("b", 4))
    assert store.by_index("y") == (obj("a", 2),)


def test_a_version_is_stored_until_a_newer_one_comes() -> None:
    recorded = RecordedStore()
    assert not recorded.store.has(obj("a", 1))
    recorded.store.put(obj("a", 5))
    assert recorded.store.has(obj("a", 4))
    assert recorded.store.has(obj("a", 5))
    assert not recorded.store.has(obj("a", 6))


versions = st.lists(st.integers(1, 50), min_size=1, max_size=20)


@given(versions)
def test_events_in_any_order_leave_the_newest(seen: list[int]) -> None:
    recorded = RecordedStore()
    for version in seen:
        recorded.store.put(obj("a", version))
    assert recorded.store.get(("n", "a")) == obj("a", max(seen))
    shown = [int(new["metadata"]["resourceVersion"]) for _, new in recorded.changes]
    assert shown == sorted(set(shown))


def test_a_packed_object_is_read_as_it_was_put() -> None:
    recorded = RecordedStore(is_packed=True)
    recorded.store.put(obj("a", 1, team="x"))
    take_list(recorded.store, [obj("a", 1, team="x"), obj("b", 2, team="x")], version=3)
    assert recorded.store.get(("n", "b")) == obj("b", 2, team="x")
    assert [*recorded.store.all()] == [*recorded.store.by_index("x")]
    recorded.store.remove(obj("a", 4))
    assert recorded.changes[-1] == (obj("a", 1, team="x"), None)
    assert "y" not in recorded.store.groups
    assert "x" in recorded.store.groups


def test_what_is_no_news_is_stored_and_not_reported() -> None:
    recorded = RecordedStore()
    recorded.store.observe(obj("a", 1), is_news=False)
    assert recorded.store.get(("n", "a")) == obj("a", 1)
    assert recorded.changes == []


def test_of_objects_that_are_like_the_first_one_only_the_difference_is_kept() -> None:
    recorded, texts = RecordedStore(is_packed=True), Random(1)  # noqa: S311
    same, other = texts.randbytes(2_000).hex(), texts.randbytes(2_000).hex()
    for number in range(40):
        recorded.store.put(obj(f"chat-{number}", number, text=other if number == 20 else same))
    sizes = [len(entry.content) for entry in recorded.store._entries.values()]
    assert min(sizes[0], sizes[20]) > 2_000
    assert max(sizes[1:20] + sizes[21:]) < 200
    read = [stored["metadata"]["labels"]["text"] for stored in recorded.store.all()]
    assert read == [other if number == 20 else same for number in range(40)]
