"""What the program does: make, list and restore backups."""

import re
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from aichat_workspace.backup import archive, data_folder, retention, swap
from aichat_workspace.backup.errors import (
    BackupError,
    BackupNotFoundError,
    InvalidArchiveError,
    NoRoomError,
    OtherWorkspaceError,
)
from aichat_workspace.backup.manifest import (
    ArchivedFile,
    Manifest,
    Versions,
    backup_name,
    owner,
    without_status,
)
from aichat_workspace.backup.sealing import seal
from aichat_workspace.backup.settings import Settings
from aichat_workspace.backup.stores.store import Sink, Store, StoredObject

# A backup that still runs must not be taken for one that was killed.
_TORN_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that is whole, and what was removed after it."""

    name: str
    size_bytes: int
    pruned: tuple[str, ...] = ()
    present: tuple[StoredObject, ...] = ()
    """All backups that are there now, oldest first; none where `warning` says why."""
    warning: str = ""
    """Why old ones stay, or empty."""


def create(settings: Settings, now: datetime, token: str, version: str) -> Backup:
    """Make a backup, then prune old ones and what killed runs left.

    `token` tells it from others of the same second, `version` is the operator's. Raises
    BackupError: then there is no new backup. Where only pruning fails, the result has a warning.
    """
    if not settings.workspace or not settings.credentials or not settings.open_webui:
        raise BackupError(
            "set BACKUP_WORKSPACE, BACKUP_CREDENTIALS and BACKUP_OPEN_WEBUI to make a backup"
        )
    _require_finished(settings.data)
    name = backup_name(now, token)
    _claim(settings.store, owner(settings.workspace), now)

    def describe(files: tuple[ArchivedFile, ...]) -> Manifest:
        return Manifest(
            name=name,
            created=now,
            workspace=without_status(settings.workspace),
            versions=Versions(open_webui=settings.open_webui, operator=version),
            files=files,
        )

    def sealed(manifest: bytes) -> bytes:
        return seal(settings.credentials, settings.passphrase, manifest)

    # What the second raises, the first does not store.
    with settings.store.create(retention.object_name(name)) as sink, swap.unreplaced(settings.data):
        counted = _CountingSink(sink)
        files = data_folder.snapshot(settings.data, settings.scratch)
        archive.write_archive(counted, files, describe, sealed)
    try:
        removed = prune(settings.store, settings.keep, name)
        settings.store.sweep(now - _TORN_AFTER, retention.OBJECT)
        present = backups(settings.store)
    except BackupError as error:
        return Backup(name, counted.size_bytes, warning=f"old backups stay: {error}")
    return Backup(name, counted.size_bytes, removed, present)


def check(data: Path, scratch: Path) -> int:
    """Check the databases before a snapshot of the volume, and return how many there are. What was
    written so far is on the disk then. Raises BackupError, OSError."""
    _require_finished(data)
    with swap.unreplaced(data):
        return data_folder.check(data, scratch)


def _require_finished(data: Path) -> None:
    if swap.is_unfinished(data):
        raise BackupError(
            "a restore has not ended, so the data is neither the old nor the new: run recover"
        )
    swap.sweep(data)


def _claim(store: Store, workspace: str, now: datetime) -> None:
    """Write whose backups an empty store gets.

    Raises OtherWorkspaceError where it has another workspace's, which pruning would delete.
    """
    objects = store.objects()
    present = retention.owners(objects)
    if not present and not retention.backups(objects):
        mark = retention.owner_object(workspace)
        store.sweep(now, re.compile(re.escape(mark)))
        with store.create(mark) as sink:
            sink.write(workspace.encode())
    elif present != (workspace,):
        marks = " and ".join(map(retention.owner_object, present))
        reason = f"is of {', '.join(present)} ({marks})" if present else "says not whose they are"
        raise OtherWorkspaceError(
            f"BACKUP_STORE has backups, and {reason}; this workspace is {workspace}. Set "
            "BACKUP_STORE to a folder of its own"
        )


def prune(store: Store, keep: int, new: str) -> tuple[str, ...]:
    """Delete all but the newest backups, the oldest first; return their names.

    Those that sort after `new`, which was just made, neither count nor go: another run made them
    meanwhile, or a clock was wrong. Raises StoreError.
    """
    names = retention.pruned(store.objects(), keep, new)
    for name in names:
        store.delete(retention.object_name(name))
    return names


def backups(store: Store) -> tuple[StoredObject, ...]:
    """Return the whole backups, oldest first."""
    return retention.backups(store.objects())


def restore(
    settings: Settings, name: str, *, from_another_workspace: bool = False, restore_name: str = ""
) -> archive.Contents:
    """Replace the data folder's content by a backup's, once all of it is verified.

    The chat must not run. The data then say that they come from the restore of that name. Raises
    BackupError: then the data is as it was, or that of a restore that was killed before
    (swap.recover).
    """
    if not settings.workspace and not from_another_workspace:
        raise BackupError("set BACKUP_WORKSPACE to restore: the backup has to be its own")
    swap.recover(settings.data)
    _require_room(settings.data, _size_bytes(settings.store, name))
    contents: list[archive.Contents] = []

    def unpack(folder: Path) -> None:
        contents.append(_read(settings, name, folder))
        if not from_another_workspace:
            _require_own(contents[0].manifest, settings.workspace)

    swap.replace(settings.data, name, unpack, restore_name)
    return contents[0]


def restore_folder(data: Path, name: str, folder: Path, restore_name: str = "") -> int:
    """Replace the data folder's content by that of another one, which a backup's snapshot was made
    into, once the copy is checked; return the number of files.

    The chat must not run. The data then say that they come from the restore of that name. Raises
    BackupError or OSError: then the data is as it was, or that of a restore that was killed before
    (swap.recover).
    """
    swap.recover(data)
    if swap.is_unfinished(folder):
        raise InvalidArchiveError(
            f"backup {name} is of a time when a restore had not ended. Restore another backup"
        )
    _require_room(data, data_folder.size_bytes(folder))
    counts: list[int] = []

    def unpack(target: Path) -> None:
        counts.append(data_folder.copy_data(folder, target))

    swap.replace(data, name, unpack, restore_name)
    return counts[0]


def _require_own(manifest: Manifest, workspace: dict[str, Any]) -> None:
    if owner(manifest.workspace) != owner(workspace):
        raise OtherWorkspaceError(
            f"backup {manifest.name} is of {owner(manifest.workspace)}, and this workspace is "
            f"{owner(workspace)}. Correct BACKUP_STORE, or make a clone: restore "
            f"{manifest.name} --from-another-workspace"
        )


def verify(settings: Settings, name: str) -> archive.Contents:
    """Read a whole backup and compare all checksums. Raises BackupError."""
    return _read(settings, name, None)


def _read(settings: Settings, name: str, folder: Path | None) -> archive.Contents:
    with settings.store.open(retention.object_name(name)) as source:
        contents = archive.read_archive(source, settings.passphrase, folder)
    if contents.manifest.name != name:
        raise BackupError(f"backup {name} is a copy of {contents.manifest.name}. Restore that one")
    return contents


def _size_bytes(store: Store, name: str) -> int:
    sizes = {backup.name: backup.size_bytes for backup in backups(store)}
    if name not in sizes:
        newest = [*sizes][-1] if sizes else "none"
        raise BackupNotFoundError(f"there is no backup {name!r}; the newest is {newest}")
    return sizes[name]


def _require_room(data: Path, size_bytes: int) -> None:
    """The old data stays beside the new until that is verified."""
    free = shutil.disk_usage(data).free
    if free < size_bytes:
        raise NoRoomError(
            f"the backup has {size_bytes} bytes, and the chat's volume has {free} free. Raise "
            "spec.storage.openWebUI, and restore again"
        )


class _CountingSink:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.size_bytes = 0

    def write(self, content: bytes, /) -> int:
        self.size_bytes += len(content)
        return self._sink.write(content)
