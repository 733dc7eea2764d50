"""A store in a folder."""

import os
import re
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
    torn, foreign = tmp_path / "a.tar.partial", tmp_path / "b.partial"
    for path in (torn, foreign):
        path.write_bytes(b"12")
    names = re.compile(r"a\.tar")
    assert store.sweep(NOW - timedelta(days=1), names) == 0
    assert torn.exists()
    for path in (torn, foreign):
        os.utime(path, (0, 0))
    assert store.sweep(NOW - timedelta(days=1), names) == 1
    assert not torn.exists()
    assert foreign.exists()


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
