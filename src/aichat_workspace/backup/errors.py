"""Errors of backups. Every message says what is wrong and how to fix it."""

from typing import ClassVar


class BackupError(Exception):
    """A backup or a restore failed, and nothing of it counts. The message is for people."""

    code: ClassVar[str] = "failed"
    """For programs; never given to another error (docs/backup.md)."""


class InvalidArchiveError(BackupError):
    """An archive is torn, was altered, or needs another passphrase. A retry does not help."""

    code = "invalid-archive"


class DataChangedError(BackupError):
    """The chat wrote to files while they were copied. A retry helps once it writes less."""

    code = "data-changed"


class StoreError(BackupError):
    """The store refused, or did not answer. A retry may help."""

    code = "store-failed"
