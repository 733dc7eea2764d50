"""A store in a folder of a volume: an object is whole once it has its name."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Final

from aichat_workspace.backup.durable import sync_folder
from aichat_workspace.backup.errors import ROOM, BackupNotFoundError, NoRoomError, StoreError
from aichat_workspace.backup.stores.store import Sink, Source, StoredObject

_PARTIAL: Final = ".partial"


@dataclass(frozen=True, slots=True)
class VolumeStore:
    """Objects are files of the folder."""

    folder: Path

    @contextmanager
    def create(self, name: str) -> Iterator[Sink]:
        partial = self.folder / f"{name}{_PARTIAL}"
        with _translated(f"write {name}", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = partial.open("xb", buffering=0)
        try:
            with file:
                yield _FileSink(file, self.folder)
                with _translated(f"write {name}", self.folder):
                    os.fsync(file.fileno())
            with _translated(f"write {name}", self.folder):
                partial.rename(self.folder / name)
                sync_folder(self.folder)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    @contextmanager
    def open(self, name: str) -> Iterator[Source]:
        with _translated(f"read {name}", self.folder):
            try:
                file = (self.folder / name).open("rb")
            except FileNotFoundError as error:
                raise BackupNotFoundError(
                    f"can't read {name} on the volume at {self.folder}: it is not there; list the "
                    "backups: it may have been pruned"
                ) from error
        with file:
            yield file

    def objects(self) -> tuple[StoredObject, ...]:
        with _translated("list backups", self.folder):
            if not self.folder.exists():
                return ()
            files = [path for path in self.folder.iterdir() if path.suffix != _PARTIAL]
            stored = [StoredObject(path.name, path.stat().st_size) for path in files]
        return tuple(sorted(stored, key=lambda item: item.name))

    def delete(self, name: str) -> None:
        with _translated(f"delete {name}", self.folder):
            (self.folder / name).unlink(missing_ok=True)

    def sweep(self, before: datetime, names: re.Pattern[str]) -> int:
        with _translated("remove torn backups", self.folder):
            partials = [
                path
                for path in self.folder.glob(f"*{_PARTIAL}")
                if names.fullmatch(path.stem) and path.stat().st_mtime < before.timestamp()
            ]
            for path in partials:
                path.unlink(missing_ok=True)
        return len(partials)


@dataclass(frozen=True, slots=True)
class _FileSink:
    file: FileIO
    folder: Path

    def write(self, content: bytes, /) -> int:
        rest = memoryview(content)
        with _translated("write a backup", self.folder):
            while rest:
                rest = rest[self.file.write(rest) :]
        return len(content)


@contextmanager
def _translated(what: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = NoRoomError if error.errno in ROOM else StoreError
        raise kind(
            f"can't {what} on the volume at {folder}: {error.strerror or error}. See that the "
            "volume is mounted, writable and not full"
        ) from error
