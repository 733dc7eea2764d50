"""Backups in a table and in a line."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aichat_workspace.cli.render.lines import Line, Span, Style, line, paragraph, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.cli.render.workspaces import backup_problem, condition, record_of
from aichat_workspace.foundation import units

Json = Mapping[str, Any]
_COLUMNS: Final = (
    Column("NAME"),
    Column("MADE"),
    Column("SIZE"),
    Column("OPEN WEBUI", rank=1),
)


def obstacle_of(document: Json, kind: str) -> str:
    """Return why a run does not begin; empty while time is enough."""
    entry = condition(document, kind)
    is_current = entry.get("observedGeneration", 0) >= document.get("generation", 0)
    return str(entry.get("message") or "") if is_current and entry.get("status") == "False" else ""


def backup_table(
    document: Json, now: datetime, width: int | None, *, wide: bool = False
) -> list[Line]:
    """Return the backups of a workspace with how the last run went; a wide one with times."""
    rows = [
        (
            Span(plain(str(backup["name"]))),
            Span(_made(backup, now, wide=wide)),
            Span(units.size(int(backup["sizeBytes"]))),
            Span(plain(str(backup["openWebUI"] or "-"))),
        )
        for backup in document["items"]
    ]
    lines = table(_COLUMNS, rows, width) if rows else [line("no backups")]
    for text in _remarks(document):
        lines += paragraph(plain(text), width)
    return lines


def _made(backup: Json, now: datetime, *, wide: bool) -> str:
    made_at = backup.get("madeAt")
    if made_at is None:
        return "-"
    return str(made_at) if wide else units.age(units.seconds_since(str(made_at), now))


def _remarks(document: Json) -> list[str]:
    remarks = []
    if document["schedule"]:
        remarks.append(f"made by schedule: {document['schedule']} ({document['timeZone']})")
    if document["isWaiting"] or document["state"] == "Running":
        remarks.append("one is being made")
    message, reason = document["message"], document["reason"]
    if reason:
        remarks.append(f"backups need you: {f'{message} ({reason})' if message else reason}")
    elif message:  # what a run waits for, or why old backups stay
        remarks.append(message)
    return remarks


def last_backup(document: Json, now: datetime) -> Span | None:
    """Return when a workspace was last backed up and what is wrong with that, in one line; None for
    one that is not backed up."""
    spec, record = (document.get("spec") or {}).get("backup"), record_of(document)
    if spec is None and not record:
        return None
    succeeded_at = record.get("succeededAt")
    age = (
        f"{units.age(units.seconds_since(str(succeeded_at), now))} ago" if succeeded_at else "never"
    )
    if problem := backup_problem(document):
        return Span(f"{age}; {plain(problem)}", Style.BAD)
    if record.get("state") == "Running":
        return Span(f"{age}; one is being made", Style.WORKING)
    return Span(age)
