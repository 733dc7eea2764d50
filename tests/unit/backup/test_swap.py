"""The swap of the data folder's content."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from aichat_workspace.backup import swap
from aichat_workspace.domain import names
from tests.chat_data import read_chat, write_chat
from tests.killing import count_steps, kill_at
from tests.unprivileged import run_unprivileged

NAME = "20261130T030000Z-00000001"
RESTORE = "lime-restore-0a1b2c3d"


def unpack_new(folder: Path) -> None:
    write_chat(folder, "new")


def test_the_new_data_replaces_the_old(tmp_path: Path) -> None:
    write_chat(tmp_path / "data", "old")
    (tmp_path / "data" / "only-old").touch()
    swap.replace(tmp_path / "data", NAME, unpack_new)
    write_chat(tmp_path / "expected", "new")
    assert read_chat(tmp_path / "data") == read_chat(tmp_path / "expected")
    assert not (tmp_path / "data" / names.RESTORE_STAGING).exists()


def test_the_new_data_say_which_restore_they_come_from(tmp_path: Path) -> None:
    swap.replace(tmp_path, NAME, unpack_new, RESTORE)
    assert swap.restored_by(tmp_path) == RESTORE
    swap.forget(tmp_path, "another one")
    assert swap.restored_by(tmp_path) == RESTORE
    swap.forget(tmp_path, RESTORE)
    assert swap.restored_by(tmp_path) == ""
    swap.replace(tmp_path, NAME, unpack_new, RESTORE)
    swap.replace(tmp_path, NAME, unpack_new)
    assert swap.restored_by(tmp_path) == "", "the data of one without a name come from no other"


@pytest.mark.parametrize(
    "make",
    [Path.mkdir, lambda path: path.symlink_to("webui.db"), os.mkfifo],
    ids=["folder", "link", "pipe"],
)
def test_what_people_call_like_the_mark_is_none(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    def unpack(folder: Path) -> None:
        unpack_new(folder)
        make(folder / names.RESTORE_MARK)

    make(tmp_path / names.RESTORE_MARK)
    assert swap.restored_by(tmp_path) == ""
    swap.replace(tmp_path, NAME, unpack, RESTORE)
    assert swap.restored_by(tmp_path) == RESTORE
    assert read_chat(tmp_path)["uploads/3f2a_report.pdf"] == b"new"


def test_a_mark_that_nobody_may_read_is_none(tmp_path: Path) -> None:
    def read() -> None:
        mark = Path("data", names.RESTORE_MARK)
        mark.write_text(RESTORE)
        mark.chmod(0)
        assert swap.restored_by(Path("data")) == ""

    (tmp_path / "data").mkdir()
    run_unprivileged(read, tmp_path)


def test_data_that_is_refused_replaces_nothing(tmp_path: Path) -> None:
    write_chat(tmp_path, "old")
    before = read_chat(tmp_path)

    def refuse(folder: Path) -> None:
        unpack_new(folder)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        swap.replace(tmp_path, NAME, refuse)
    assert read_chat(tmp_path) == before


def test_the_file_systems_own_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    swap.replace(tmp_path, NAME, unpack_new)
    assert (tmp_path / "lost+found").is_dir()


def test_there_is_nothing_to_recover_without_a_swap(tmp_path: Path) -> None:
    write_chat(tmp_path, "old")
    assert not swap.recover(tmp_path).was_unfinished


def unpack_file(folder: Path) -> None:
    """SQLite wants to see all folders above a database."""
    (folder / "new").touch()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("mode", [0o500, 0o000])
@pytest.mark.parametrize("closed", ["ro", "uploads/x", "uploads/x/y", ".restore", ".restore-old"])
def test_a_folder_that_people_closed_stops_no_restore(
    tmp_path: Path, closed: str, mode: int
) -> None:
    write_chat(tmp_path / "data", "old")
    folder = tmp_path / "data" / closed
    (folder / "below").mkdir(parents=True)
    (folder / "file").touch()
    folder.chmod(mode)
    run_unprivileged(lambda: swap.replace(Path("data"), NAME, unpack_file), tmp_path)
    assert names_in(tmp_path / "data") == ["new"]


@pytest.mark.parametrize("phase", ["unpacked", "verified", "old"])
def test_a_folder_that_people_closed_stops_no_recovery(tmp_path: Path, phase: str) -> None:
    folder = tmp_path / "data" / names.RESTORE_STAGING / phase / "x"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    folder.chmod(0o500)
    run_unprivileged(lambda: swap.recover(Path("data")), tmp_path)
    assert names_in(tmp_path / "data") == (["x"] if phase == "verified" else [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes folders of other users")
def test_a_folder_of_another_user_is_refused_before_anything_is_moved(tmp_path: Path) -> None:
    write_chat(tmp_path / "data", "old")
    before = read_chat(tmp_path / "data")

    def refused() -> None:
        with pytest.raises(PermissionError, match="foreign"):
            swap.replace(Path("data"), NAME, unpack_file)

    (tmp_path / "data" / "foreign").mkdir()
    run_unprivileged(refused, tmp_path, foreign=tmp_path / "data" / "foreign")
    assert read_chat(tmp_path / "data") == before
    assert not swap.is_unfinished(tmp_path / "data")


@pytest.mark.parametrize(
    "make", [Path.touch, lambda path: path.symlink_to("uploads")], ids=["file", "link"]
)
@pytest.mark.parametrize("name", [".restore", ".restore-old"])
def test_what_people_call_like_our_own_folders_is_removed(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    write_chat(tmp_path, "old")
    make(tmp_path / name)
    assert not swap.is_unfinished(tmp_path)
    assert not swap.recover(tmp_path).was_unfinished
    assert name not in names_in(tmp_path)
    make(tmp_path / name)
    swap.replace(tmp_path, NAME, unpack_new)
    assert name not in names_in(tmp_path)


def test_old_data_that_can_not_be_removed_stops_no_chat_and_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("aichat_workspace.backup.swap.shutil.rmtree", fail)
        for _ in range(2):
            write_chat(tmp_path / "old", "old")
            swap.replace(tmp_path, NAME, unpack_new)
            assert not swap.is_unfinished(tmp_path)
    assert names_in(tmp_path / names.RESTORE_LEFTOVERS) == ["0", "1", "2", "3"]
    swap.recover(tmp_path)
    assert names.RESTORE_LEFTOVERS not in names_in(tmp_path)


def test_a_swap_that_is_killed_at_any_step_leaves_the_old_or_the_new_data(tmp_path: Path) -> None:
    outcomes = []
    write_chat(tmp_path / "expected-old", "old")
    write_chat(tmp_path / "expected-new", "new")
    old, new = read_chat(tmp_path / "expected-old"), read_chat(tmp_path / "expected-new")
    new = dict(sorted({**new, names.RESTORE_MARK: RESTORE.encode()}.items()))
    whole = tmp_path / "whole"
    write_chat(whole, "old")
    steps = count_steps(partial(swap.replace, whole, NAME, unpack_new, RESTORE), whole)
    for step in range(steps):
        data = tmp_path / str(step)
        write_chat(data, "old")
        kill_at(partial(swap.replace, data, NAME, unpack_new, RESTORE), data, step)
        recovery = swap.recover(data)
        outcomes.append({str(old): "old", str(new): "new"}[str(read_chat(data))])
        if recovery.installed:
            assert recovery.installed == NAME
            assert outcomes[-1] == "new"

    switch = outcomes.index("new")
    assert outcomes == ["old"] * switch + ["new"] * (steps - switch)


def test_a_recovery_that_is_killed_at_any_step_can_be_repeated(tmp_path: Path) -> None:
    write_chat(tmp_path / "expected", "new")
    new = read_chat(tmp_path / "expected")

    def verified(name: str) -> Path:
        data = tmp_path / name
        write_chat(data, "old")
        unpack_new(data / names.RESTORE_STAGING / "verified")
        return data

    steps = count_steps(partial(swap.recover, verified("whole")), tmp_path)
    for step in range(steps):
        data = verified(str(step))
        kill_at(partial(swap.recover, data), tmp_path, step)
        swap.recover(data)
        assert read_chat(data) == new
