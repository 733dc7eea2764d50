"""Replace the data folder's content, so that a kill at any step leaves the old or the new one.

The folder is a volume's root, which can't be renamed, so the names of folders in it say how far a
swap is. Until one is called `verified`, the old data counts; from then on the new data does, and
`recover` ends the swap from wherever it stopped. The chat does not start while there is any of it
(domain/render/scripts/prepare_chat.py).
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import structlog

from aichat_workspace.backup.data_folder import DATABASE
from aichat_workspace.backup.durable import sync_folder, sync_tree
from aichat_workspace.backup.errors import DataChangedError
from aichat_workspace.domain import names

_UNPACKED: Final = "unpacked"
_VERIFIED: Final = "verified"
_INSTALLING: Final = "installing"
_OLD: Final = "old"
_NAME: Final = "name"
"""The file with the backup's name, there from before `verified` until after the old data."""
_MAX_MARK_CHARACTERS: Final = 256
# The last is the file system's own.
_STAYS: Final = frozenset({names.RESTORE_STAGING, names.RESTORE_LEFTOVERS, "lost+found"})
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a restore that had not ended became."""

    was_unfinished: bool
    """Whether there was any."""
    installed: str = ""
    """The backup whose data are in place now; empty where they are the old ones, or where an older
    version of the program had not written its name."""


def replace(data: Path, name: str, unpack: Callable[[Path], None], restore: str = "") -> None:
    """Fill a new folder by `unpack`, and swap it in as that backup's unless that raises.

    The new data say which `restore` they come from; empty for one that has no name. Raises OSError,
    before anything is moved, for a folder that this user may not move.
    """
    recover(data)
    for path in _replaced(data):
        _open_up(path)
    unpacked = data / names.RESTORE_STAGING / _UNPACKED
    unpacked.mkdir(parents=True)
    try:
        unpack(unpacked)
    except BaseException:
        recover(data)
        raise
    _remove(unpacked / names.RESTORE_MARK)  # people can make files of any name
    if restore:
        _write(unpacked / names.RESTORE_MARK, restore)
    _write(unpacked.parent / _NAME, name)
    sync_tree(unpacked)  # the name below must not last where these do not
    sync_folder(unpacked.parent)
    unpacked.rename(unpacked.parent / _VERIFIED)
    sync_folder(unpacked.parent)
    recover(data)


def restored_by(data: Path) -> str:
    """Return the restore that the data in place come from; empty where none says so."""
    mark = data / names.RESTORE_MARK
    if not _is_file(mark) or not os.access(mark, os.R_OK):  # people can make a file of that name
        return ""
    with mark.open(errors="replace") as file:
        return file.read(_MAX_MARK_CHARACTERS)


def forget(data: Path, restore: str) -> None:
    """Let the same restore be carried out again, if the data in place come from it."""
    if restored_by(data) == restore:
        (data / names.RESTORE_MARK).unlink()
        sync_folder(data)


def is_unfinished(data: Path) -> bool:
    """Whether a restore goes on, or was killed."""
    return _is_folder(data / names.RESTORE_STAGING)


@contextmanager
def unreplaced(data: Path) -> Iterator[None]:
    """Raises DataChangedError at the end if a restore has begun meanwhile, also if it has ended."""
    database = data / DATABASE
    try:
        # Only a name: to close it takes no lock of SQLite's away, as open(2) says of O_PATH.
        descriptor = os.open(database, os.O_PATH | os.O_NOFOLLOW)
    except FileNotFoundError:
        descriptor = None
    try:
        yield
        # A file that is open keeps its number.
        before = os.fstat(descriptor) if descriptor is not None else None
        after = database.lstat() if database.exists() else None
        is_same = before is None or (after is not None and os.path.samestat(before, after))
        if is_unfinished(data) or not is_same:
            raise DataChangedError(
                "a restore began while the data was copied, so the copy may be of the old and the "
                "new: make a backup once it has ended"
            )
    finally:
        if descriptor is not None:
            os.close(descriptor)


def recover(data: Path) -> Recovery:
    """End a swap that was verified, or remove one that was not."""
    sweep(data)
    staging = data / names.RESTORE_STAGING
    if not _is_folder(staging):  # people of the chat can make files of any name
        staging.unlink(missing_ok=True)
        return Recovery(was_unfinished=False)
    _open_up(staging)
    verified, installing = staging / _VERIFIED, staging / _INSTALLING
    if _is_folder(verified):
        # All that is in place is old, so nothing new can be taken for it.
        old = staging / _OLD
        _make_folder(old)
        for path in _replaced(data):
            _open_up(path)
            path.rename(old / path.name)
        verified.rename(installing)
    if _is_folder(installing):
        for path in installing.iterdir():
            _open_up(path)
            path.rename(data / path.name)
        sync_folder(data)
        installing.rmdir()
    installed = _installed(staging)
    if not installed:
        (staging / _NAME).unlink(missing_ok=True)  # before what says that it was not verified
    _discard(data, staging / _OLD)
    _discard(data, staging)
    return Recovery(was_unfinished=True, installed=installed)


def _installed(staging: Path) -> str:
    """Return the backup that is in place; empty where the old data is."""
    name = staging / _NAME
    if _is_folder(staging / _UNPACKED) or not _is_file(name):
        return ""
    return name.read_text()


def sweep(data: Path) -> None:
    """Remove what earlier restores could not; what still can't be removed stays for the next."""
    leftovers = data / names.RESTORE_LEFTOVERS
    try:
        _remove(leftovers)
    except OSError as error:
        _log.warning("old data stays", path=str(leftovers), error=str(error))


def _replaced(data: Path) -> list[Path]:
    return [path for path in data.iterdir() if path.name not in _STAYS]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _make_folder(path: Path) -> None:
    if not _is_folder(path):
        path.unlink(missing_ok=True)
        path.mkdir()


def _open_up(path: Path) -> None:
    """Let this user change what is in a folder, and move it: to another parent, that needs the
    permission to write to the folder itself. Raises OSError for one of another user."""
    if _is_folder(path) and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IRWXU)


def _remove(folder: Path) -> None:
    """Remove a folder with all that is in it, or a file. Raises OSError."""
    if not _is_folder(folder):
        folder.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(folder)
    except PermissionError:
        _open_up(folder)
        for path, folders, _ in os.walk(folder):  # it reads a folder after those above it
            for name in folders:
                _open_up(Path(path, name))
        shutil.rmtree(folder)


def _discard(data: Path, folder: Path) -> None:
    """Remove a folder, or else move it out of the way of chats and backups: the data is whole."""
    try:
        _remove(folder)
    except OSError:
        leftovers = data / names.RESTORE_LEFTOVERS
        _make_folder(leftovers)
        _open_up(leftovers)
        folder.rename(next(path for n in count() if not (path := leftovers / str(n)).exists()))
        _log.warning("old data stays", path=str(leftovers), exc_info=True)
