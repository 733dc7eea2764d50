"""Backups of a made-up chat, in any store."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aichat_workspace.backup import commands, sealing, swap
from aichat_workspace.backup.settings import Settings
from aichat_workspace.backup.stores.store import Store
from tests.chat_data import CREDENTIALS, WORKSPACE, read_chat, restored, write_chat
from tests.killing import count_steps, kill_at

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
PASSPHRASE = "a passphrase of the team"


def make_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a seal take less time than one that has to protect something, and nothing be synced: a
    process that is killed loses nothing that it wrote, only a node does."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(sealing, "_N", 2**14)
    monkeypatch.setattr(sealing, "_P", 1)


def settings_of(folder: Path, store: Store, *, keep: int = 7) -> Settings:
    """A chat in `folder`, with scratch space beside it."""
    scratch = folder.parent / f"{folder.name}-scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return Settings(
        store=store,
        data=folder,
        scratch=scratch,
        keep=keep,
        passphrase=PASSPHRASE,
        credentials=CREDENTIALS,
        workspace=WORKSPACE,
        open_webui="open-webui:v1",
    )


def create(settings: Settings, number: int = 0) -> commands.Backup:
    """Make a backup of the day with that number."""
    return commands.create(settings, NOW + timedelta(days=number), f"{number:08x}", "1.0.0")


def assert_killed_backups_are_invisible(folder: Path, make_store: Callable[[], Store]) -> None:
    """Kill a backup at each step: old backups and whole new ones can be restored, and there is
    nothing else. A store's client is made in each process."""
    data = folder / "data"
    write_chat(data, "hello")
    expected = restored(read_chat(data))

    def backup(number: int) -> Callable[[], object]:
        return lambda: create(settings_of(data, make_store()), number)

    backup(0)()
    steps = count_steps(backup(1), folder)
    for step in range(steps):
        kill_at(backup(step + 2), folder, step)
    store = make_store()
    whole = commands.backups(store)
    assert len(whole) >= 2
    assert len(store.objects()) == len(whole) + 1, "the other says whose they are"
    for name in [item.name for item in whole]:
        write_chat(folder / name, "other")
        commands.restore(settings_of(folder / name, store), name)
        assert read_chat(folder / name) == expected
    create(settings_of(data, store, keep=3), steps + 2)
    assert len(commands.backups(store)) == 3


def assert_killed_restores_are_old_or_new(folder: Path, make_store: Callable[[], Store]) -> None:
    """Kill a restore at each step: the data is the old or the new."""
    source = folder / "source"
    write_chat(source, "new")
    name = create(settings_of(source, make_store())).name
    new = restored(read_chat(source))
    write_chat(folder / "whole", "old")
    old = read_chat(folder / "whole")

    def restore(data: Path) -> Callable[[], object]:
        return lambda: commands.restore(settings_of(data, make_store()), name)

    _assert_old_or_new(folder, restore, old, new)


def assert_killed_copies_are_old_or_new(folder: Path) -> None:
    """Kill a restore from a folder at each step: the data is the old or the new."""
    write_chat(folder / "source", "new")
    new = restored(read_chat(folder / "source"))
    write_chat(folder / "whole", "old")
    old = read_chat(folder / "whole")

    def restore(data: Path) -> Callable[[], object]:
        return lambda: commands.restore_folder(data, "name", folder / "source")

    _assert_old_or_new(folder, restore, old, new)


def _assert_old_or_new(
    folder: Path,
    restore: Callable[[Path], Callable[[], object]],
    old: dict[str, object],
    new: dict[str, object],
) -> None:
    outcomes = []
    steps = count_steps(restore(folder / "whole"), folder)
    for step in range(steps):
        data = folder / str(step)
        write_chat(data, "old")
        kill_at(restore(data), folder, step)
        swap.recover(data)
        outcomes.append([old, new].index(read_chat(data)))
    assert outcomes == sorted(outcomes)
    assert {*outcomes} == {0, 1}
