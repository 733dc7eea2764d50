"""The platform's size classes as a table."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aichat_workspace.cli.render.lines import Line, Span, Style, line, plain
from aichat_workspace.cli.render.tables import Column, table

_COLUMNS: Final = (
    Column("CLASS"),
    Column("DESCRIPTION", 3, 12),
    Column("CPU"),
    Column("MEMORY"),
    Column("STORAGE", 1),
    Column("GPUS", 4),
    Column("MODELS", 5, 12),
    Column("FITS", min_width=8),
)


def size_class_table(classes: Sequence[Mapping[str, Any]], width: int | None) -> list[Line]:
    """Return the classes with what each costs, and whether one more workspace of it fits."""
    if not classes:
        return [line("the platform has no size classes for you")]
    return table(_COLUMNS, [_row(entry) for entry in classes], width)


def _row(entry: Mapping[str, Any]) -> tuple[Span, ...]:
    texts = (
        entry["name"],
        entry["description"] or "-",
        entry["cpu"],
        entry["memory"],
        entry["storage"],
        entry["gpus"] or "-",
        ", ".join(entry["models"]) or "-",
    )
    fits = Span("✓", Style.GOOD) if entry["fits"] else Span(f"✗ {plain(entry['obstacle'])}")
    return (*(Span(plain(str(text))) for text in texts), fits)
