"""The swap of the data folder's content."""

from functools import partial
from pathlib import Path

import pytest

from aichat_workspace.backup import swap
from aichat_workspace.domain import names
from tests.chat_data import read_chat, write_chat
from tests.killing import count_steps, kill_at


def unpack_new(folder: Path) -> None:
    write_chat(folder, "new")


def test_the_new_data_replaces_the_old(tmp_path: Path) -> None:
    write_chat(tmp_path / "data", "old")
    (tmp_path / "data" / "only-old").touch()
    swap.replace(tmp_path / "data", unpack_new)
    write_chat(tmp_path / "expected", "new")
    assert read_chat(tmp_path / "data") == read_chat(tmp_path / "expected")
    assert not (tmp_path / "data" / names.RESTORE_STAGING).exists()


def test_data_that_is_refused_replaces_nothing(tmp_path: Path) -> None:
    write_chat(tmp_path, "old")
    before = read_chat(tmp_path)

    def refuse(folder: Path) -> None:
        unpack_new(folder)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        swap.replace(tmp_path, refuse)
    assert read_chat(tmp_path) == before


def test_the_file_systems_own_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    swap.replace(tmp_path, unpack_new)
    assert (tmp_path / "lost+found").is_dir()


def test_there_is_nothing_to_recover_without_a_swap(tmp_path: Path) -> None:
    write_chat(tmp_path, "old")
    assert not swap.recover(tmp_path)


def test_a_swap_that_is_killed_at_any_step_leaves_the_old_or_the_new_data(tmp_path: Path) -> None:
    outcomes = []
    write_chat(tmp_path / "expected-old", "old")
    write_chat(tmp_path / "expected-new", "new")
    old, new = read_chat(tmp_path / "expected-old"), read_chat(tmp_path / "expected-new")
    whole = tmp_path / "whole"
    write_chat(whole, "old")
    steps = count_steps(partial(swap.replace, whole, unpack_new), whole)
    for step in range(steps):
        data = tmp_path / str(step)
        write_chat(data, "old")
        kill_at(partial(swap.replace, data, unpack_new), data, step)
        swap.recover(data)
        outcomes.append({str(old): "old", str(new): "new"}[str(read_chat(data))])
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
