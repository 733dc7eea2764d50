"""A file with what support needs to know, and no secret."""

import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from aichat_workspace.cli.client.api import Json, Query, workspace_path
from aichat_workspace.cli.errors import CliError, usage_error
from aichat_workspace.cli.session import Session

_LOG_LINES: Final = 1_000
# Nothing of a spec is a secret; whom a team connects to, or who may sign in, is its own matter.
_PRIVATE: Final = frozenset({"access", "connections"})
_REMOVED: Final = "removed"


def files(session: Session, documents: list[Json]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file; a file that can't be had holds the error instead."""
    for document in documents:
        name, team = str(document["name"]), document["team"]
        folder = f"workspaces/{name}"
        yield f"{folder}/workspace.json", _json(without_private(document))
        for part in ("diagnosis", "events", "models"):
            yield f"{folder}/{part}.json", _document(session, name, team, part)
        for workload in ("ollama", "openwebui"):
            yield f"{folder}/{workload}.log", _log(session, name, team, workload)


def without_private(document: Mapping[str, Any]) -> Json:
    """Return a workspace without what is a team's own matter."""
    spec = {
        key: _REMOVED if key in _PRIVATE else value
        for key, value in (document.get("spec") or {}).items()
    }
    return {**document, "spec": spec}


def _document(session: Session, name: str, team: str, part: str) -> str:
    path = workspace_path(name, f"/{part}")
    try:
        return _json(session.api.get(f"{part} was not read", path, {"team": team}).document)
    except CliError as error:
        return _error(error)


def _log(session: Session, name: str, team: str, workload: str) -> str:
    path = workspace_path(name, f"/logs/{workload}")
    query: Query = {"team": team, "tail": _LOG_LINES, "timestamps": True}
    try:
        return "".join(session.api.chunks("the log was not read", path, query))
    except CliError as error:
        return _error(error)


def _error(error: CliError) -> str:
    return "\n".join((f"error: {error.what}", *error.why)) + "\n"


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write(path: Path, contents: Iterator[tuple[str, str]], seconds: int) -> list[str]:
    """Write a new archive that only its owner can read, whole or not at all; return its files.

    Raises CliError where the file is there already.
    """
    written: list[str] = []
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise usage_error(f"{path} is there already", "name another file with --file") from None
    except OSError as error:
        raise usage_error(f"{path} was not written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
            for name, text in contents:
                body = text.encode(errors="replace")
                entry = tarfile.TarInfo(f"aichat-support/{name}")
                entry.size, entry.mode, entry.mtime = len(body), 0o600, seconds
                tar.addfile(entry, io.BytesIO(body))
                written.append(name)
    except BaseException:
        path.unlink()
        raise
    return written
