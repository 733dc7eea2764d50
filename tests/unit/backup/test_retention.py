"""Which backups stay."""

from aichat_workspace.backup.retention import (
    backups,
    object_name,
    owner_object,
    owners,
    pruned,
)
from aichat_workspace.backup.stores.store import StoredObject

NAMES = [f"202611{day:02}T030000Z-0000000{day}" for day in range(1, 6)]
OBJECTS = [StoredObject(object_name(name), 10) for name in reversed(NAMES)]
FOREIGN = [
    StoredObject("notes.tar", 1),
    StoredObject(f"{NAMES[0]}.tar.partial", 1),
    StoredObject(f"{NAMES[0]}.zip", 1),
]


def test_backups_are_listed_from_the_oldest() -> None:
    assert [backup.name for backup in backups(OBJECTS)] == NAMES


def test_what_has_another_name_is_no_backup() -> None:
    assert backups(FOREIGN) == ()
    assert pruned(FOREIGN, 1, NAMES[-1]) == ()


def test_all_but_the_newest_are_pruned() -> None:
    assert pruned([*OBJECTS, *FOREIGN], 2, NAMES[-1]) == (*NAMES[:3],)


def test_what_sorts_after_the_new_one_neither_counts_nor_goes() -> None:
    assert pruned([*OBJECTS, *FOREIGN], 2, NAMES[3]) == (*NAMES[:2],)


def test_an_owner_is_read_from_the_name_of_its_object() -> None:
    """A namespace's name has no dot; a resource's may."""
    assert owner_object("team-lime/lime.v2") == "team-lime.lime.v2.workspace"
    assert owners([StoredObject("team-lime.lime.v2.workspace", 1), *OBJECTS]) == (
        "team-lime/lime.v2",
    )


def test_fewer_than_that_stay_all() -> None:
    assert pruned(OBJECTS, 9, NAMES[-1]) == ()


def test_the_last_backup_always_stays() -> None:
    assert pruned(OBJECTS, 0, NAMES[-1]) == (*NAMES[:4],)
