"""What a backup needs of a store."""

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Sink(Protocol):
    """Takes the bytes of an object that is being written."""

    def write(self, content: bytes, /) -> int: ...


class Source(Protocol):
    """Gives the bytes of an object."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that is whole."""

    name: str
    size_bytes: int


class Store(Protocol):
    """A flat folder of objects, one workspace's. All methods raise StoreError, those that write
    NoRoomError, and those that read one object BackupNotFoundError."""

    def create(self, name: str) -> AbstractContextManager[Sink]:
        """Write an object, which others see when the block has ended, whole, and never if it
        raises."""

    def open(self, name: str) -> AbstractContextManager[Source]:
        """Read an object from its beginning."""

    def objects(self) -> tuple[StoredObject, ...]:
        """List the objects that are whole, by name."""

    def delete(self, name: str) -> None:
        """Delete an object; one that is gone is no error."""

    def sweep(self, before: datetime, names: re.Pattern[str]) -> int:
        """Remove what killed writers of such names left before that time.

        Return how many pieces it was.
        """
