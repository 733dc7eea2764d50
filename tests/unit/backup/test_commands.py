"""Backups and restores of a data folder, in a volume."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.backup import archive, commands, data_folder, swap
from aichat_workspace.backup.errors import (
    BackupError,
    BackupNotFoundError,
    DataChangedError,
    InvalidArchiveError,
    NoRoomError,
    OtherWorkspaceError,
    StoreError,
    WrongPassphraseError,
)
from aichat_workspace.backup.settings import Settings
from aichat_workspace.backup.stores.store import Sink, Source, Store, StoredObject
from aichat_workspace.backup.stores.volume import VolumeStore
from aichat_workspace.domain import names
from tests.backups import (
    assert_killed_backups_are_invisible,
    assert_killed_copies_are_old_or_new,
    assert_killed_restores_are_old_or_new,
    create,
    settings_of,
)
from tests.chat_data import (
    CREDENTIALS,
    WORKSPACE,
    read_chat,
    read_rows,
    restored,
    write_chat,
    write_file,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_chat(tmp_path / "data", "hello")
    return settings_of(tmp_path / "data", VolumeStore(tmp_path / "backups"))


def test_a_restore_gives_back_chats_users_and_documents(settings: Settings) -> None:
    before = read_chat(settings.data)
    backup = create(settings)
    for path in settings.data.rglob("*.*"):
        path.unlink()
    write_chat(settings.data, "something else")
    contents = commands.restore(settings, backup.name)
    assert read_chat(settings.data) == restored(before)
    assert contents.credentials == CREDENTIALS
    assert contents.manifest.versions.open_webui == "open-webui:v1"


def test_a_backup_is_listed_with_its_size(settings: Settings) -> None:
    backup = create(settings)
    assert commands.backups(settings.store) == (StoredObject(backup.name, backup.size_bytes),)


def test_old_backups_are_pruned_after_a_new_one_is_whole(settings: Settings) -> None:
    results = [create(replace(settings, keep=2), number) for number in range(4)]
    assert [backup.name for backup in commands.backups(settings.store)] == [
        results[2].name,
        results[3].name,
    ]
    assert results[3].pruned == (results[1].name,)


def test_a_backup_that_fails_prunes_nothing(settings: Settings) -> None:
    backup = create(settings)
    (settings.data / "webui.db").write_bytes(b"SQLite format 3\0 and no database")
    with pytest.raises(BackupError):
        create(replace(settings, keep=1), 1)
    assert [item.name for item in commands.backups(settings.store)] == [backup.name]


@dataclass(frozen=True)
class Undeletable:
    """A store whose credentials may not delete."""

    store: Store
    deleted: list[str] = field(default_factory=list)

    def create(self, name: str) -> AbstractContextManager[Sink]:
        return self.store.create(name)

    @contextmanager
    def open(self, name: str) -> Iterator[Source]:
        with self.store.open(name) as source:
            yield source

    def objects(self) -> tuple[StoredObject, ...]:
        return self.store.objects()

    def delete(self, name: str) -> None:
        self.deleted.append(name)
        raise StoreError("AccessDenied")

    def sweep(self, before: datetime, names: re.Pattern[str]) -> int:
        return self.store.sweep(before, names)


def test_a_backup_counts_where_only_pruning_fails(settings: Settings) -> None:
    store = Undeletable(settings.store)
    create(settings)
    backup = create(replace(settings, store=store, keep=1), 1)
    assert backup.warning == "old backups stay: AccessDenied"
    assert len(commands.backups(store)) == 2


def test_a_backup_without_its_resource_is_refused(settings: Settings) -> None:
    with pytest.raises(BackupError, match="set BACKUP_WORKSPACE"):
        create(replace(settings, workspace={}))


def test_a_backup_that_sorts_before_others_is_stored_and_never_pruned(settings: Settings) -> None:
    """The clock was ahead when the others were made."""
    later = [create(settings, number).name for number in (5, 6)]
    create(settings)
    assert not create(replace(settings, keep=1), 1).warning
    present = [item.name for item in commands.backups(settings.store)]
    assert present == ["20261201T030000Z-00000001", *later]


def other(settings: Settings, namespace: str = "team-plum") -> Settings:
    metadata = {**WORKSPACE["metadata"], "namespace": namespace}
    return replace(settings, workspace={**WORKSPACE, "metadata": metadata})


def test_another_workspaces_backups_are_never_pruned(settings: Settings) -> None:
    backup = create(settings)
    with pytest.raises(OtherWorkspaceError, match=r"\(team-lime\.lime\.workspace\)"):
        create(other(replace(settings, keep=1)), 1)
    assert [item.name for item in commands.backups(settings.store)] == [backup.name]


def test_backups_that_do_not_say_whose_they_are_are_never_pruned(settings: Settings) -> None:
    create(settings)
    settings.store.delete("team-lime.lime.workspace")
    with pytest.raises(BackupError, match="BACKUP_STORE has backups, and says not whose they are"):
        create(replace(settings, keep=1), 1)
    assert len(commands.backups(settings.store)) == 1


def test_a_first_backup_that_was_killed_at_its_beginning_stops_no_later_one(
    settings: Settings, tmp_path: Path
) -> None:
    partial = tmp_path / "backups" / "team-lime.lime.workspace.partial"
    partial.parent.mkdir()
    partial.touch()
    os.utime(partial, (0, 0))
    create(settings)
    assert not partial.exists()


def test_another_workspaces_backup_replaces_nothing(settings: Settings) -> None:
    backup = create(settings)
    write_file(settings.data / "uploads" / "new", "new")
    before = read_chat(settings.data)
    with pytest.raises(OtherWorkspaceError, match=r"is of team-lime/lime, and this .* team-plum"):
        commands.restore(other(settings), backup.name)
    assert read_chat(settings.data) == before
    with pytest.raises(BackupError, match="set BACKUP_WORKSPACE to restore"):
        commands.restore(replace(settings, workspace={}), backup.name)
    commands.restore(other(settings), backup.name, from_another_workspace=True)
    assert not (settings.data / "uploads" / "new").exists()


def test_no_backup_is_made_in_the_midst_of_a_restore(settings: Settings) -> None:
    (settings.data / names.RESTORE_STAGING / "installing").mkdir(parents=True)
    with pytest.raises(BackupError, match=r"a restore has not ended.*: run recover"):
        create(settings)
    assert settings.store.objects() == ()


@pytest.mark.parametrize("ended", [True, False])
def test_a_backup_beside_which_a_restore_began_does_not_count(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    backup, write_archive = create(settings), archive.write_archive

    def restore_meanwhile(*arguments: Any) -> None:
        write_archive(*arguments)
        if ended:
            commands.restore(settings, backup.name)
        else:
            (settings.data / names.RESTORE_STAGING).mkdir()

    monkeypatch.setattr(archive, "write_archive", restore_meanwhile)
    with pytest.raises(DataChangedError, match="a restore began while the data was copied"):
        create(settings, 1)
    assert [item.name for item in commands.backups(settings.store)] == [backup.name]


def test_what_people_call_like_a_restore_stops_no_backup(settings: Settings) -> None:
    (settings.data / names.RESTORE_STAGING).symlink_to("uploads")
    before = read_chat(settings.data)
    backup = create(settings)
    commands.restore(settings, backup.name)
    assert read_chat(settings.data) == restored(before)


def test_a_backup_removes_what_a_restore_could_not(settings: Settings) -> None:
    (settings.data / names.RESTORE_LEFTOVERS / "0").mkdir(parents=True)
    create(settings)
    assert not (settings.data / names.RESTORE_LEFTOVERS).exists()


def test_an_altered_backup_replaces_nothing(settings: Settings, tmp_path: Path) -> None:
    backup = create(settings)
    archive = tmp_path / "backups" / f"{backup.name}.tar"
    archive.write_bytes(archive.read_bytes().replace(b"hello", b"HELLO"))
    before = read_chat(settings.data)
    with pytest.raises(InvalidArchiveError, match="is missing, or not as it was backed up"):
        commands.restore(settings, backup.name)
    assert read_chat(settings.data) == before


def test_another_passphrase_replaces_nothing(settings: Settings) -> None:
    backup = create(settings)
    before = read_chat(settings.data)
    with pytest.raises(WrongPassphraseError, match="the passphrase is not the one"):
        commands.restore(replace(settings, passphrase="another passphrase"), backup.name)
    assert read_chat(settings.data) == before


def test_a_backup_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(BackupNotFoundError, match="'absent'; the newest is none"):
        commands.restore(settings, "absent")
    backup = create(settings)
    with pytest.raises(BackupError, match=f"the newest is {backup.name}"):
        commands.restore(settings, "absent")


def test_a_renamed_backup_is_refused(settings: Settings, tmp_path: Path) -> None:
    backup = create(settings)
    archive = tmp_path / "backups" / f"{backup.name}.tar"
    other = "20260101T000000Z-00000000"
    archive.rename(archive.with_name(f"{other}.tar"))
    with pytest.raises(BackupError, match=f"backup {other} is a copy of {backup.name}"):
        commands.restore(settings, other)


@dataclass(frozen=True)
class Huge(Undeletable):
    """A store that says that its backups are larger than any disk."""

    def objects(self) -> tuple[StoredObject, ...]:
        return tuple(replace(item, size_bytes=2**60) for item in self.store.objects())


def test_a_restore_needs_room_for_the_old_data_and_the_new(settings: Settings) -> None:
    backup = create(settings)
    with pytest.raises(NoRoomError, match=r"Raise spec\.storage\.openWebUI"):
        commands.restore(replace(settings, store=Huge(settings.store)), backup.name)


def test_a_verified_backup_is_told_by_its_manifest(settings: Settings) -> None:
    backup = create(settings)
    before = read_chat(settings.data)
    assert commands.verify(settings, backup.name).manifest.name == backup.name
    assert read_chat(settings.data) == before


def test_a_backup_that_is_killed_at_any_step_is_whole_or_invisible(tmp_path: Path) -> None:
    assert_killed_backups_are_invisible(tmp_path, lambda: VolumeStore(tmp_path / "store"))


def test_a_restore_that_is_killed_at_any_step_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    assert_killed_restores_are_old_or_new(tmp_path, lambda: VolumeStore(tmp_path / "store"))


def test_a_restore_from_a_folder_that_is_killed_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path,
) -> None:
    assert_killed_copies_are_old_or_new(tmp_path)


def test_a_folder_of_a_snapshot_replaces_the_data(tmp_path: Path) -> None:
    """It is as a chat left it that was stopped in the middle: what it had committed is there."""
    write_chat(tmp_path / "data", "old")
    write_chat(tmp_path / "live", "hello")
    with closing(sqlite3.connect(tmp_path / "live" / "webui.db")) as chat:
        chat.execute("INSERT INTO chat (message) VALUES ('in the log')")
        chat.commit()
        chat.execute("INSERT INTO chat (message) VALUES ('never committed')")
        shutil.copytree(tmp_path / "live", tmp_path / "snapshot")
    before = {path: path.read_bytes() for path in (tmp_path / "snapshot").rglob("*.db*")}
    commands.restore_folder(tmp_path / "data", "name", tmp_path / "snapshot")
    assert read_rows(tmp_path / "data" / "webui.db") == ["hello"] * 50 + ["in the log"]
    assert {path: path.read_bytes() for path in before} == before, "the snapshot stays as it is"
    assert not (tmp_path / "data" / "webui.db-wal").exists(), "the copy is one file"
    assert read_chat(tmp_path / "data") == restored(read_chat(tmp_path / "live"))


def damage(folder: Path) -> None:
    """Overwrite a page in the middle: what the file begins with stays that of a database."""
    path = folder / "webui.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO chat (message) VALUES (?)", [("x" * 500,)] * 100)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


def unfinish(folder: Path) -> None:
    (folder / names.RESTORE_STAGING).mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damage, r"(?s)webui\.db is damaged: .*Restore another backup"),
        (lambda folder: (folder / "webui.db").unlink(), r"has no webui\.db, so it is of no chat"),
        (unfinish, "of a time when a restore had not ended"),
    ],
)
def test_a_folder_that_is_not_whole_replaces_nothing(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    data, folder = tmp_path / "data", tmp_path / "snapshot"
    write_chat(data, "old")
    write_chat(folder, "new")
    spoil(folder)
    before = read_chat(data)
    with pytest.raises(InvalidArchiveError, match=message):
        commands.restore_folder(data, "name", folder)
    assert read_chat(data) == before
    assert not swap.is_unfinished(data)


def test_a_folder_needs_room_for_the_old_data_and_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_chat(tmp_path / "snapshot", "new")
    write_chat(tmp_path / "data", "old")
    full = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(BackupError, match=r"10 free\. Raise spec\.storage\.openWebUI"):
        commands.restore_folder(tmp_path / "data", "name", tmp_path / "snapshot")


def test_a_check_finds_a_damaged_database_and_changes_nothing(settings: Settings) -> None:
    before = read_chat(settings.data)
    assert commands.check(settings.data, settings.scratch) == 2
    assert read_chat(settings.data) == before
    assert [*settings.scratch.iterdir()] == []
    damage(settings.data)
    with pytest.raises(DataChangedError, match=r"webui\.db can't be copied"):
        commands.check(settings.data, settings.scratch)


def test_a_check_lets_what_was_written_last(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(data_folder, "sync_file_system", synced.append)
    commands.check(settings.data, settings.scratch)
    assert synced == [settings.data]


def test_there_is_no_check_while_a_restore_has_not_ended(settings: Settings) -> None:
    unfinish(settings.data)
    with pytest.raises(BackupError, match="run recover"):
        commands.check(settings.data, settings.scratch)
