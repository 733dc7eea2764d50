"""Make, list, verify or restore backups of one chat: `aichat-workspace-backup`."""

import os
import secrets
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from aichat_workspace.backup import commands, swap
from aichat_workspace.backup.errors import BackupError
from aichat_workspace.backup.manifest import Manifest
from aichat_workspace.backup.settings import Settings
from aichat_workspace.domain import names
from aichat_workspace.runtime.logs import log_as_json

_PROGRAM: Final = "aichat-workspace-backup"
# Kubernetes reads it into the pod's status: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
_TERMINATION_LOG: Final = "/dev/termination-log"
_MAX_TERMINATION_BYTES: Final = 4096
_TOKEN_BYTES: Final = 4
_FIX: Final = "readable and writable for this user, and not full"
_log: Final = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; its result is a line of JSON on standard output and in the pod's status."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    log_as_json()
    try:
        result = _COMMANDS[options.pop("command")](os.environ, **options)
    except BackupError as error:
        result = {"error": type(error).__name__.removesuffix("Error"), "message": str(error)}
    except OSError as error:
        result = {
            "error": "System",
            "message": f"{error}. See that the volumes are mounted, {_FIX}",
        }
    text = orjson.dumps(result)
    sys.stdout.buffer.write(text + b"\n")
    _tell_kubelet(text, Path(os.environ.get("BACKUP_TERMINATION_LOG", _TERMINATION_LOG)))
    if "error" in result:
        _log.error("failed", **result)
        sys.exit(1)


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
    commands_of_it.add_parser("list", help="List the whole backups, oldest first.")
    for command, text in {
        "verify": "Read a backup and compare all its checksums.",
        "restore": "Replace the data by a backup. The chat must not run.",
    }.items():
        commands_of_it.add_parser(command, help=text).add_argument("name", help="the backup's name")
    commands_of_it.add_parser(
        "recover", help="End a restore that was killed; the chat must not start before."
    )
    return parser


def _create(environment: Mapping[str, str]) -> dict[str, Any]:
    settings, now = Settings.read(environment), datetime.now(UTC)
    token = secrets.token_hex(_TOKEN_BYTES)
    return asdict(commands.create(settings, now, token, version(names.OPERATOR)))


def _list(environment: Mapping[str, str]) -> dict[str, Any]:
    backups = commands.backups(Settings.read(environment).store)
    return {"backups": [asdict(backup) for backup in backups]}


def _verify(environment: Mapping[str, str], name: str) -> dict[str, Any]:
    return _summary(commands.verify(Settings.read(environment), name).manifest)


def _restore(environment: Mapping[str, str], name: str) -> dict[str, Any]:
    return _summary(commands.restore(Settings.read(environment), name).manifest)


def _recover(environment: Mapping[str, str]) -> dict[str, Any]:
    return {"recovered": swap.recover(Path(environment.get("BACKUP_DATA", "/app/backend/data")))}


_COMMANDS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "create": _create,
    "list": _list,
    "verify": _verify,
    "restore": _restore,
    "recover": _recover,
}


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "created": manifest.created.isoformat(),
        "open_webui": manifest.versions.open_webui,
        "files": len(manifest.files),
        "size_bytes": sum(file.size_bytes for file in manifest.files),
    }


def _tell_kubelet(text: bytes, path: Path) -> None:
    if path.exists():
        path.write_bytes(text[:_MAX_TERMINATION_BYTES])
