"""The chat's data folder: what of it is copied, and how a copy is consistent while people chat.

Open WebUI keeps chats, users and settings in `webui.db`, uploaded files in `uploads`, and what it
has read of documents in `vector_db`: a database with index files beside it. Databases are copied by
SQLite's own online backup (https://sqlite.org/backup.html), before the files that they name.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from aichat_workspace.backup.durable import sync_file_system
from aichat_workspace.backup.errors import (
    BackupError,
    DataChangedError,
    InvalidArchiveError,
    NoRoomError,
)
from aichat_workspace.domain import names

# Downloaded again by whatever needs them; `.cache` is Python packages', whose home is here.
_LEFT_OUT: Final = frozenset(
    {
        "cache/embedding",
        "cache/whisper",
        "cache/tiktoken",
        ".cache",
        "lost+found",
        names.RESTORE_STAGING,
        names.RESTORE_LEFTOVERS,
        names.RESTORE_MARK,
        names.UPGRADE_COPY,
        f"{names.UPGRADE_COPY}.new",
    }
)
# Everywhere else a person may have uploaded a database, or what begins like one: files like others.
DATABASE: Final = "webui.db"
_INDEXES: Final = "vector_db"
_SQLITE: Final = b"SQLite format 3\x00"
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
_OTHER_BACKUP: Final = "Restore another backup"
_LOCK_SECONDS: Final = 60.0
_DATABASE_MODE: Final = 0o660


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file to copy."""

    path: str
    """Below the data folder, with slashes."""
    size_bytes: int
    mode: int
    content: BinaryIO


def snapshot(data: Path, scratch: Path) -> Iterator[DataFile]:
    """Yield the files of a consistent copy, each open until the next one is asked for.

    `scratch` has to have room for the largest folder's databases. A file that people delete
    meanwhile is left out. Raises DataChangedError for one that changes, and for a database that is
    damaged.
    """
    files = sorted(_files(data, data))
    databases = [path for path in files if _is_database(data, path)]
    groups: dict[str, list[str]] = {".": [], **{str(Path(path).parent): [] for path in databases}}
    for path in files:
        if not _is_of_database(path, databases):
            groups[_group(path, groups)].append(path)
    for folder, members in sorted(groups.items()):
        own = [path for path in databases if str(Path(path).parent) == folder]
        yield from _group_files(data, scratch, own, members, strict=folder != ".")


def check(data: Path, scratch: Path) -> int:
    """Copy each database to scratch space, check it there, and return how many there are; then let
    all that was written last. Raises DataChangedError for a database that is damaged, OSError."""
    databases = [path for path in _files(data, data) if _is_database(data, path)]
    for path in databases:
        with _connected(data, path) as connection:
            for _ in _database_copy(connection, path, scratch):
                pass
    sync_file_system(data)
    return len(databases)


def size_bytes(data: Path) -> int:
    """Return the size of the files that `copy_data` copies."""
    return sum((data / path).stat().st_size for path in _files(data, data))


def copy_data(data: Path, target: Path) -> int:
    """Copy a data folder that nobody writes into an empty one, and return the number of files.

    It may be as a chat left it that was stopped at any time: what its databases had begun is ended
    or undone in the copy, as SQLite does at each start. Raises InvalidArchiveError for a database
    that is damaged, and for a folder without a chat's; OSError.
    """
    files = sorted(_files(data, data))
    databases = [path for path in files if _is_database(data, path)]
    if DATABASE not in databases:
        raise InvalidArchiveError(f"it has no {DATABASE}, so it is of no chat. {_OTHER_BACKUP}")
    memory = {f"{path}-shm" for path in databases}  # made anew by whoever opens the database
    copied = [path for path in files if path not in memory]
    for path in copied:
        _copy_file(data / path, target / path)
    for path in databases:
        _settle(target / path, path)
    return len(copied)


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as content, target.open("xb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fchmod(file.fileno(), os.fstat(content.fileno()).st_mode & 0o777)
        os.fsync(file.fileno())


def _settle(database: Path, path: str) -> None:
    """Make a copy with its side files one whole file."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            (fault,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            connection.execute("PRAGMA journal_mode = DELETE")
        if fault != "ok":
            raise sqlite3.DatabaseError(fault)
    except sqlite3.Error as error:
        raise InvalidArchiveError(f"{path} is damaged: {error}. {_OTHER_BACKUP}") from error
    with database.open("rb") as file:
        os.fsync(file.fileno())


def _files(data: Path, folder: Path) -> Iterator[str]:
    for entry in sorted(_entries(data, folder), key=lambda entry: entry.name):
        path = Path(entry.path).relative_to(data).as_posix()
        if path in _LEFT_OUT:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(data, Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield path


def _entries(data: Path, folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing where people have deleted it meanwhile."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        if folder == data:
            raise
        return []


def _is_database(data: Path, path: str) -> bool:
    if not path.startswith(f"{_INDEXES}/"):
        return path == DATABASE
    try:
        with (data / path).open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except FileNotFoundError:
        return False


def _is_of_database(path: str, databases: list[str]) -> bool:
    return path in databases or any(
        path.removesuffix(suffix) in databases for suffix in _SIDE_FILES if path.endswith(suffix)
    )


def _group(path: str, groups: dict[str, list[str]]) -> str:
    """Return the nearest folder above that has a database."""
    return next(str(folder) for folder in Path(path).parents if str(folder) in groups)


def _group_files(
    data: Path, scratch: Path, databases: list[str], members: list[str], *, strict: bool
) -> Iterator[DataFile]:
    """Yield a folder's databases and files.

    Where the files belong to the databases (`strict`), none of both may change meanwhile. The files
    that the data folder's own database names are only added and deleted, never changed.
    """
    with ExitStack() as stack:
        connections = {path: stack.enter_context(_connected(data, path)) for path in databases}
        versions = {path: _first_version(db, path) for path, db in connections.items()}
        times = {path: _changed(data / path) for path in members if strict}
        for path, connection in connections.items():
            yield from _database_copy(connection, path, scratch)
        for path in members:
            yield from _plain_file(data, path)
        changed = [path for path, db in connections.items() if _data_version(db) != versions[path]]
        changed += [path for path, time in times.items() if _changed(data / path) != time]
        if strict and changed:
            raise changed_error(changed[0])


def _database_copy(connection: sqlite3.Connection, path: str, scratch: Path) -> Iterator[DataFile]:
    copy = scratch / "database"
    copy.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
            (fault,) = target.execute("PRAGMA quick_check(1)").fetchone()
            # The copy is one file: what opens it next makes the log of writes that it wants.
            target.execute("PRAGMA journal_mode = DELETE")
        if fault != "ok":
            raise sqlite3.DatabaseError(fault)
    except sqlite3.Error as error:
        copy.unlink(missing_ok=True)
        raise _copy_error(path, error) from error
    with copy.open("rb") as file:
        yield DataFile(path, copy.stat().st_size, _DATABASE_MODE, file)
    copy.unlink()


def _plain_file(data: Path, path: str) -> Iterator[DataFile]:
    try:
        file = (data / path).open("rb")
    except FileNotFoundError:
        return
    with file:
        before = os.fstat(file.fileno())
        yield DataFile(path, before.st_size, before.st_mode & 0o777, file)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise changed_error(path)


@contextmanager
def _connected(data: Path, path: str) -> Iterator[sqlite3.Connection]:
    """Open a database for its log of writes, too, which a reader may have to recover."""
    uri = f"{(data / path).absolute().as_uri()}?mode=rw"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=_LOCK_SECONDS)
    except sqlite3.Error as error:
        raise _copy_error(path, error) from error
    with closing(connection):
        yield connection


def _data_version(connection: sqlite3.Connection) -> int:
    """Return a number that changes when somebody else commits (https://sqlite.org/pragma.html)."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _first_version(connection: sqlite3.Connection, path: str) -> int:
    """Raises DataChangedError for what is no database, or stays locked."""
    try:
        return _data_version(connection)
    except sqlite3.Error as error:
        raise _copy_error(path, error) from error


def _copy_error(path: str, error: sqlite3.Error) -> BackupError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return NoRoomError(
            f"{path} can't be copied: {error}. Give BACKUP_SCRATCH more room, which "
            "spec.storage.openWebUI bounds"
        )
    return DataChangedError(
        f"{path} can't be copied: {error}. If it is damaged, restore an earlier backup"
    )


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def changed_error(path: str) -> DataChangedError:
    """Return the error for a file that changed while it was copied."""
    return DataChangedError(
        f"{path} changed while it was copied. The next try copies everything again; if none "
        "succeeds, suspend the workspace meanwhile"
    )
