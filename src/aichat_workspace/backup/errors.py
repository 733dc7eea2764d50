"""Errors of backups. Every message says what is wrong and how to fix it."""

import errno
from typing import ClassVar, Final


class BackupError(Exception):
    """A backup or a restore failed, and nothing of it counts. The message is for people."""

    code: ClassVar[str] = "failed"
    """For programs; never given to another error (docs/backup.md)."""


class BackupNotFoundError(BackupError):
    """The store has no backup of that name. A retry does not help."""

    code = "backup-not-found"


class OtherWorkspaceError(BackupError):
    """A backup, or a store, is another workspace's. A retry does not help."""

    code = "other-workspace"


class NoRoomError(BackupError):
    """A volume or the scratch space is too small. A retry helps once there is room."""

    code = "no-room"


class InvalidArchiveError(BackupError):
    """An archive is torn, or was altered. A retry does not help."""

    code = "invalid-archive"


class WrongPassphraseError(InvalidArchiveError):
    """An archive was sealed with another passphrase, or altered since. With that one it is read."""

    code = "wrong-passphrase"


class DataChangedError(BackupError):
    """The chat wrote to files while they were copied. A retry helps once it writes less."""

    code = "data-changed"


class StoreError(BackupError):
    """The store failed, or is not as it should be. A retry may help."""

    code = "store-failed"


class StoreRefusedError(StoreError):
    """The store does not know the keys, or does not let them do this. A retry does not help."""

    code = "store-refused"


class StoreUnreachableError(StoreError):
    """The store did not answer. A retry may help."""

    code = "store-unreachable"


ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Of an OSError: there is no room, or a quota allows no more."""
