"""Checks of backups: whether the platform has a place for them, and whether they are made."""

from collections.abc import Iterable, Iterator
from typing import Final

from aichat_workspace.cli.client.api import Json
from aichat_workspace.cli.doctor.finding import Category, Finding, Severity
from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.render.workspaces import backup_problem
from aichat_workspace.cli.session import Session

_UNSEALED: Final = "snapshot"
_ASK: Final = "ask the platform team to set spec.backup of the AIChatPlatform"


def platform(session: Session) -> Iterator[Finding]:
    """Yield whether the platform has destinations for backups, and a passphrase."""
    try:
        options = session.api.get("the choices were not read", "/api/v1/options").document
        settings = session.api.get("the platform was not read", "/api/v1/platform").document
    except CliError as error:
        if error.code is not ExitCode.FORBIDDEN:
            text = "; ".join((error.what, *error.why))
            yield Finding("AC602", Category.PLATFORM, Severity.PROBLEM, text, error.fix)
        return
    if "backupDestinations" not in options:  # an earlier version of the API
        return
    destinations = [str(entry["name"]) for entry in options["backupDestinations"]]
    sealed = [
        str(entry["name"])
        for entry in options["backupDestinations"]
        if entry.get("kind") != _UNSEALED
    ]
    if not destinations:
        text = "the platform has no place for backups: chats are not backed up"
        yield Finding("AC602", Category.PLATFORM, Severity.NOTE, text, _ASK)
    elif sealed and not settings["hasBackupPassphrase"]:
        text = f"the platform has no passphrase for backups: none go to {', '.join(sealed)}"
        yield Finding("AC602", Category.PLATFORM, Severity.PROBLEM, text, _ASK)
    else:
        text = f"backups may go to {', '.join(destinations)}"
        yield Finding("AC602", Category.PLATFORM, Severity.GOOD, text)


def workspaces(documents: Iterable[Json]) -> Iterator[Finding]:
    """Yield which workspaces' backups fail, or are overdue by their schedules."""
    backed_up = [document for document in documents if (document.get("spec") or {}).get("backup")]
    problems = [problem for document in backed_up for problem in _problems(document)]
    if backed_up and not problems:
        text = f"{len(backed_up)} with backups, none of them failed or overdue"
        yield Finding("AC403", Category.WORKSPACES, Severity.GOOD, text)
    yield from problems


def _problems(document: Json) -> Iterator[Finding]:
    name = document["name"]
    if text := backup_problem(document):
        fix = f"aichatctl describe {name}; aichatctl backup {name} --wait"
        yield Finding("AC403", Category.WORKSPACES, Severity.PROBLEM, f"{name}: {text}", fix)
