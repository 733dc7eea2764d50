"""A store in a folder."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aichat_workspace.backup.errors import StoreError
from aichat_workspace.backup.stores.store import Store
from aichat_workspace.backup.stores.volume import VolumeStore
from tests.contracts.stores import StoreContract, write

NOW = datetime.now(UTC)


class TestVolumeStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return VolumeStore(tmp_path / "backups" / "lime")


def test_what_a_killed_writer_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    store = VolumeStore(tmp_path)
    torn = tmp_path / "a.partial"
    torn.write_bytes(b"12")
    assert store.sweep(NOW - timedelta(days=1)) == 0
    assert torn.exists()
    os.utime(torn, (0, 0))
    assert store.sweep(NOW - timedelta(days=1)) == 1
    assert not torn.exists()


def test_an_object_is_never_written_twice_at_the_same_time(tmp_path: Path) -> None:
    store = VolumeStore(tmp_path)
    with store.create("a"), pytest.raises(StoreError, match="can't write a "), store.create("a"):
        pass
    assert [item.name for item in store.objects()] == ["a"]


def test_a_folder_that_is_none_says_what_to_look_at(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StoreError, match="See that the volume is mounted, writable and not full"):
        write(VolumeStore(file), "a")
