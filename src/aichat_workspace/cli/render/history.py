"""Who changed a workspace, in lists."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aichat_workspace.cli.render.lines import Line, Span, Style, line, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.foundation import units
from aichat_workspace.foundation.changes import change_words

Json = Mapping[str, Any]


def history_table(
    entries: Sequence[Json], now: datetime, width: int | None, *, wide: bool
) -> list[Line]:
    """Return changes as a table, in their order; a wide one with times and the requests' ids."""
    columns = [Column("TIME" if wide else "AGE"), Column("WHO", 0, 12), Column("WHAT", 0, 20)]
    columns += [Column("REQUEST", 1)] if wide else []
    rows = [
        (
            Span(str(entry["time"]) if wide else _age(entry, now)),
            _author(entry),
            Span(plain(change_words(entry))),
            *([Span(plain(str(entry.get("requestId") or "-")))] if wide else []),
        )
        for entry in entries
    ]
    return table(columns, rows, width) if rows else [line("no changes are recorded")]


def _age(entry: Json, now: datetime) -> str:
    return units.age(units.seconds_since(str(entry["time"]), now))


def _author(entry: Json) -> Span:
    if entry.get("user"):
        return Span(plain(str(entry["user"])))
    return Span(plain(str(entry.get("manager") or "unknown")), Style.FAINT)
