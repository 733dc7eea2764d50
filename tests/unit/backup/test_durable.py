"""Writes that last."""

import ctypes
import errno
import os
from pathlib import Path

import pytest

from aichat_workspace.backup import durable
from aichat_workspace.backup.durable import sync_file_system, sync_folder, sync_tree


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are synced."""
    paths: list[str] = []

    def sync(descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", sync)
    return paths


def test_a_folder_is_synced_by_itself(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "below").mkdir()
    sync_folder(tmp_path)
    assert synced == [str(tmp_path)]


def test_all_folders_below_are_synced(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    sync_tree(tmp_path)
    assert sorted(synced) == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")]


def test_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")


def test_a_file_system_is_synced_and_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    sync_file_system(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_file_system(tmp_path / "gone")


def test_a_file_system_that_can_not_be_synced_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def syncfs(self, _: int) -> int:
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(durable, "_LIBC", Broken())
    with pytest.raises(OSError, match="Input/output error"):
        sync_file_system(tmp_path)
