"""What a backup or a restore is of, and where it goes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from aichat_workspace.backup.errors import BackupError
from aichat_workspace.backup.manifest import owner
from aichat_workspace.backup.sealing import check_passphrase
from aichat_workspace.backup.stores.s3 import S3Store, connect
from aichat_workspace.backup.stores.store import Store
from aichat_workspace.backup.stores.volume import VolumeStore

_DATA: Final = "/app/backend/data"
_SCRATCH: Final = "/tmp"  # noqa: S108  (a mount of its own)


@dataclass(frozen=True, slots=True)
class Settings:
    """What every command needs. Endpoint and keys of an S3 store are the `AWS_…` variables."""

    store: Store
    data: Path
    scratch: Path
    keep: int
    passphrase: str = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)
    """Of the chat, by variable; empty where no backup is made."""
    workspace: dict[str, Any]
    """The AIChatWorkspace; empty for commands that need none."""
    open_webui: str
    """The chat's image."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Raises BackupError for a variable that is missing or wrong."""
        keep = environment.get("BACKUP_KEEP", "7")
        if not keep.isdigit() or not int(keep):
            raise BackupError(f"BACKUP_KEEP is {keep!r}; write how many backups stay, from 1")
        return cls(
            store=read_store(environment),
            data=data_folder(environment),
            scratch=scratch_folder(environment),
            keep=int(keep),
            passphrase=check_passphrase(_required(environment, "BACKUP_PASSPHRASE")),
            credentials=_credentials(environment.get("BACKUP_CREDENTIALS")),
            workspace=_resource(environment.get("BACKUP_WORKSPACE", "{}")),
            open_webui=environment.get("BACKUP_OPEN_WEBUI", ""),
        )


def data_folder(environment: Mapping[str, str]) -> Path:
    """Return where the chat's data is."""
    return Path(environment.get("BACKUP_DATA", _DATA))


def scratch_folder(environment: Mapping[str, str]) -> Path:
    """Return where copies of databases may be for a while."""
    return Path(environment.get("BACKUP_SCRATCH", _SCRATCH))


def read_store(environment: Mapping[str, str]) -> Store:
    """Return the store of `s3://BUCKET/PREFIX` or `file:///FOLDER`. Raises BackupError."""
    url = _required(environment, "BACKUP_STORE")
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    if parts.scheme == "s3" and parts.netloc:
        return S3Store(connect(environment), parts.netloc, f"{prefix}/" if prefix else "")
    if parts.scheme == "file" and not parts.netloc and prefix:
        return VolumeStore(Path("/", prefix))
    raise BackupError(f"BACKUP_STORE is {url!r}; write s3://BUCKET/PREFIX or file:///FOLDER")


def _required(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name):
        return value
    raise BackupError(f"{name} is not set")


def _credentials(folder: str | None) -> dict[str, str]:
    """Read a mounted Secret; its hidden entries are the kubelet's own."""
    if folder is None:
        return {}
    try:
        files = [path for path in Path(folder).iterdir() if not path.name.startswith(".")]
        return {path.name: path.read_text("utf-8") for path in sorted(files)}
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(
            f"BACKUP_CREDENTIALS is {folder!r}, which can't be read: {error}"
        ) from error


def _resource(text: str) -> dict[str, Any]:
    try:
        resource = json.loads(text)
    except json.JSONDecodeError as error:
        raise BackupError(f"BACKUP_WORKSPACE is no JSON: {error}") from error
    if not isinstance(resource, dict):
        raise BackupError("BACKUP_WORKSPACE is no JSON object")
    if resource:
        _check_owner(resource)
    return resource


def _check_owner(resource: dict[str, Any]) -> None:
    try:
        owner(resource)
    except (KeyError, TypeError) as error:
        raise BackupError(
            "BACKUP_WORKSPACE has no metadata.namespace or metadata.name; set it to the "
            "AIChatWorkspace as the API server has it"
        ) from error
