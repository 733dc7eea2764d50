"""Which objects of a store are backups, and which of them are pruned."""

import re
from collections.abc import Iterable
from typing import Final

from aichat_workspace.backup.stores.store import StoredObject
from aichat_workspace.domain.v1alpha1.backup import BACKUP_NAME_PATTERN

_SUFFIX: Final = ".tar"
OBJECT: Final = re.compile(f"({BACKUP_NAME_PATTERN}){re.escape(_SUFFIX)}")
"""The names of backups' archives; what else is in a store is nobody's."""


_OWNER: Final = re.compile(r"([^.]+)\.(.+)\.workspace")


def owner_object(owner: str) -> str:
    """Return the name of the object that says whose backups a store has.

    `owner` is NAMESPACE/NAME; a namespace's name has no dot.
    """
    return f"{owner.replace('/', '.')}.workspace"


def owners(objects: Iterable[StoredObject]) -> tuple[str, ...]:
    """Return whose backups a store has; more than one where somebody moved objects."""
    matches = [_OWNER.fullmatch(item.name) for item in objects]
    return tuple(sorted(f"{match[1]}/{match[2]}" for match in matches if match))


def object_name(backup: str) -> str:
    """Return the name of a backup's archive in its store."""
    return backup + _SUFFIX


def backups(objects: Iterable[StoredObject]) -> tuple[StoredObject, ...]:
    """Return the whole backups by their own names, oldest first."""
    matches = [(OBJECT.fullmatch(item.name), item.size_bytes) for item in objects]
    named = [(match[1], size) for match, size in matches if match]
    return tuple(StoredObject(name, size) for name, size in sorted(named))


def pruned(objects: Iterable[StoredObject], keep: int, new: str) -> tuple[str, ...]:
    """Return the names of the backups up to `new` that are not among the newest `keep` of them, at
    least one."""
    names = [backup.name for backup in backups(objects) if backup.name <= new]
    return tuple(names[: -max(keep, 1)])
