"""Make, list, verify or restore backups of one chat: `aichat-workspace-backup`."""

import base64
import os
import secrets
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence, Sized
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from aichat_workspace.backup import commands, swap
from aichat_workspace.backup.archive import Contents
from aichat_workspace.backup.errors import ROOM, BackupError, NoRoomError
from aichat_workspace.backup.manifest import Manifest
from aichat_workspace.backup.settings import Settings, data_folder, scratch_folder
from aichat_workspace.backup.stores.store import StoredObject
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.backup import MAX_LISTED
from aichat_workspace.runtime.logs import log_as_json

_PROGRAM: Final = "aichat-workspace-backup"
# Kubernetes reads it into the pod's status: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
_TERMINATION_LOG: Final = "/dev/termination-log"
# It takes 4096 bytes; JSON needs up to six for a character.
_MAX_TERMINATION_CHARACTERS: Final = 600
_TOKEN_BYTES: Final = 4
_VOLUME_FAILED: Final = "volume-failed"
_FAILED: Final = 1
_UNFINISHED: Final = 3
"""Neither the old nor the new data is in place, so the same command has to be run again."""
_SECRET_MODE: Final = 0o600
_FIX: Final = "readable and writable for this user, and not full"
_log: Final = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; its result is a line of JSON on standard output.

    The pod's status has it, too, with the newest backups, and with the lengths of other lists.
    """
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    log_as_json()
    command: str = options.pop("command")
    try:
        result = _COMMANDS[command](os.environ, **options)
    except (BackupError, OSError) as error:
        result = _failure(error)
    sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
    _tell_kubelet(result, Path(os.environ.get("BACKUP_TERMINATION_LOG", _TERMINATION_LOG)))
    if "error" in result:
        _log.error("failed", **result)
        sys.exit(_UNFINISHED if _is_unfinished(command, os.environ) else _FAILED)


def _failure(error: BackupError | OSError) -> dict[str, Any]:
    if isinstance(error, BackupError):
        return {"error": error.code, "message": str(error)}
    message = f"{error}. See that the volumes are mounted, {_FIX}"
    code = NoRoomError.code if error.errno in ROOM else _VOLUME_FAILED
    return {"error": code, "message": message}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        _PROGRAM,
        description="Make, list, verify or restore backups of one chat.",
        epilog="Its settings are environment variables: docs/backup.md has them.",
    )
    parser.add_argument(
        "--version", action="version", version=f"{_PROGRAM} {version(names.OPERATOR)}"
    )
    commands_of_it = parser.add_subparsers(dest="command", required=True)
    commands_of_it.add_parser("create", help="Make a backup, and prune old ones.")
    commands_of_it.add_parser("check", help="Check the databases before a snapshot of the volume.")
    commands_of_it.add_parser("list", help="List the whole backups, oldest first.")
    named = {
        command: commands_of_it.add_parser(command, help=text)
        for command, text in {
            "verify": "Read a backup and compare all its checksums.",
            "restore": "Replace the data by a backup. The chat must not run.",
            "extract": "Write a backup's AIChatWorkspace as JSON to standard output.",
        }.items()
    }
    for command_parser in named.values():
        command_parser.add_argument("name", help="the backup's name")
    named["restore"].add_argument(
        "--from-another-workspace", action="store_true", help="make a clone of another one's backup"
    )
    named["restore"].add_argument(
        "--folder",
        type=Path,
        help="copy this folder, a volume that the backup's snapshot was made into, and need no "
        "store",
    )
    named["restore"].add_argument(
        "--once",
        default="",
        metavar="RESTORE",
        help="the restore's name: where the data come from it already, nothing is done",
    )
    named["extract"].add_argument(
        "--credentials",
        type=Path,
        metavar="FILE",
        help="write its credentials there, as a Secret that only this user may read",
    )
    recover = commands_of_it.add_parser(
        "recover", help="End a restore that was killed; the chat must not start before."
    )
    recover.add_argument(
        "--forget", default="", metavar="RESTORE", help="let this one be carried out again later"
    )
    return parser


def _create(environment: Mapping[str, str]) -> dict[str, Any]:
    settings, now = Settings.read(environment), datetime.now(UTC)
    token = secrets.token_hex(_TOKEN_BYTES)
    backup = commands.create(settings, now, token, version(names.OPERATOR))
    return {
        "name": backup.name,
        "sizeBytes": backup.size_bytes,
        "openWebUI": settings.open_webui,
        "pruned": backup.pruned,
        "backups": _listed(backup.present),
        **({"warning": backup.warning} if backup.warning else {}),
    }


def _check(environment: Mapping[str, str]) -> dict[str, Any]:
    return {"checked": commands.check(data_folder(environment), scratch_folder(environment))}


def _list(environment: Mapping[str, str]) -> dict[str, Any]:
    return {"backups": _listed(commands.backups(Settings.read(environment).store))}


def _listed(backups: Sequence[StoredObject]) -> list[dict[str, Any]]:
    return [{"name": item.name, "sizeBytes": item.size_bytes} for item in backups]


def _verify(environment: Mapping[str, str], name: str) -> dict[str, Any]:
    return _summary(commands.verify(Settings.read(environment), name).manifest)


def _restore(
    environment: Mapping[str, str],
    name: str,
    *,
    from_another_workspace: bool,
    folder: Path | None,
    once: str,
) -> dict[str, Any]:
    """`replaced` is the backup that a restore which was killed before has put in place, and `again`
    says that the data came from this restore already."""
    data = data_folder(environment)
    restore: Callable[[], dict[str, Any]]
    if folder is not None:
        restore = partial(_restore_folder, data, name, folder, once)
    else:
        settings = Settings.read(environment)
        restore = partial(_restore_archive, settings, name, from_another_workspace, once)
    recovery = swap.recover(data)
    installed = recovery.installed
    is_done = bool(once) and swap.restored_by(data) == once
    if is_done and not recovery.was_unfinished:
        return {"name": name, "again": True}
    if is_done or installed == name:
        return {"name": name}
    try:
        return restore()
    except (BackupError, OSError) as error:
        return {**_failure(error), **({"replaced": installed} if installed else {})}


def _restore_folder(data: Path, name: str, folder: Path, once: str) -> dict[str, Any]:
    return {"name": name, "files": commands.restore_folder(data, name, folder, once)}


def _restore_archive(
    settings: Settings, name: str, from_another_workspace: bool, once: str
) -> dict[str, Any]:
    contents = commands.restore(
        settings, name, from_another_workspace=from_another_workspace, restore_name=once
    )
    return _summary(contents.manifest)


def _extract(environment: Mapping[str, str], name: str, credentials: Path | None) -> dict[str, Any]:
    contents = commands.verify(Settings.read(environment), name)
    if credentials:
        _write_secret(credentials, contents)
    return contents.manifest.workspace


def _write_secret(path: Path, contents: Contents) -> None:
    """Raises OSError, also for a file that is there: others may be able to read it."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.credentials(contents.manifest.workspace["spec"]["workspaceName"]),
            "namespace": names.SYSTEM_NAMESPACE,
        },
        "data": {
            key: base64.b64encode(value.encode()).decode()
            for key, value in contents.credentials.items()
        },
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _SECRET_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(secret))


def _recover(environment: Mapping[str, str], forget: str) -> dict[str, Any]:
    data = data_folder(environment)
    recovery = swap.recover(data)
    if forget:
        swap.forget(data, forget)
    replaced = {"replaced": recovery.installed} if recovery.installed else {}
    return {"recovered": recovery.was_unfinished, **replaced}


def _is_unfinished(command: str, environment: Mapping[str, str]) -> bool:
    return command in _SWAPPING and swap.is_unfinished(data_folder(environment))


_COMMANDS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "create": _create,
    "check": _check,
    "list": _list,
    "verify": _verify,
    "restore": _restore,
    "extract": _extract,
    "recover": _recover,
}

_SWAPPING: Final = frozenset({"restore", "recover"})


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "created": manifest.created.isoformat(),
        "openWebUI": manifest.versions.open_webui,
        "files": len(manifest.files),
        "sizeBytes": sum(file.size_bytes for file in manifest.files),
    }


def _tell_kubelet(result: dict[str, Any], path: Path) -> None:
    """Write the newest backups first: the operator's status has them in this order."""
    if not path.exists():
        return
    shown = {key: _shortened(value) for key, value in result.items()}
    if "backups" in result:
        shown["backups"] = result["backups"][: -MAX_LISTED - 1 : -1]
    path.write_bytes(orjson.dumps(shown))


def _shortened(value: object) -> object:
    if isinstance(value, str):
        return value[:_MAX_TERMINATION_CHARACTERS]
    return len(value) if isinstance(value, Sized) else value
