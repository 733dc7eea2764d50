"""What backups rely on of a store: a folder, and a bucket of a real S3-compatible server."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from aichat_workspace.backup.errors import BackupNotFoundError
from aichat_workspace.backup.stores.store import Store, StoredObject

_FUTURE = timedelta(days=2)
ANY = re.compile(".*")


def write(store: Store, name: str, *pieces: bytes) -> None:
    write_all(store, name, pieces or (b"content",))


def write_all(store: Store, name: str, pieces: Iterable[bytes]) -> None:
    with store.create(name) as sink:
        for piece in pieces:
            sink.write(piece)


def failing() -> Iterator[bytes]:
    """The pieces of what can't be read to its end."""
    yield b"1" * 20_000_000
    raise ZeroDivisionError


def read(store: Store, name: str) -> bytes:
    with store.open(name) as source:
        return b"".join(iter(lambda: source.read(1000), b""))


class StoreContract:
    """A subclass has a fixture `store`, which is empty."""

    def test_an_empty_store_has_no_objects(self, store: Store) -> None:
        assert store.objects() == ()

    def test_what_is_written_is_read(self, store: Store) -> None:
        content = bytes(range(256)) * 100_000
        with store.create("large") as sink:
            for start in range(0, len(content), 10_240):
                sink.write(content[start : start + 10_240])
        assert read(store, "large") == content

    def test_objects_are_listed_by_name_with_their_sizes(self, store: Store) -> None:
        write(store, "b", b"12")
        write(store, "a", b"123")
        assert store.objects() == (StoredObject("a", 3), StoredObject("b", 2))

    def test_an_object_is_seen_only_when_it_is_whole(self, store: Store) -> None:
        with store.create("a") as sink:
            sink.write(b"1" * 20_000_000)
            assert store.objects() == ()
        assert store.objects() == (StoredObject("a", 20_000_000),)

    def test_an_object_whose_writer_fails_is_never_seen(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError):
            write_all(store, "a", failing())
        assert store.objects() == ()
        assert store.sweep(datetime.now(UTC) + _FUTURE, ANY) == 0

    def test_reading_what_is_not_there_is_an_error(self, store: Store) -> None:
        with pytest.raises(BackupNotFoundError, match="can't read absent"):
            read(store, "absent")

    def test_a_deleted_object_is_gone_and_can_be_deleted_again(self, store: Store) -> None:
        write(store, "a")
        write(store, "b")
        store.delete("a")
        store.delete("a")
        assert [item.name for item in store.objects()] == ["b"]
