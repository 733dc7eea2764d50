"""Tables that fit a width: columns are left out and cut, rows never wrap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aichat_workspace.cli.render.lines import (
    Line,
    Span,
    Style,
    cell_width,
    fit_all,
    shorten,
)

_GAP: Final = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    title: str
    rank: int = 0
    """The column with the highest rank is left out first; those of rank 0 stay."""
    min_width: int | None = None
    """How narrow it may be cut; None to show it whole."""


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Span]], width: int | None
) -> list[Line]:
    """Lay out rows below a header, within a width; None for any width."""
    natural = [
        max(cell_width(text) for text in (column.title, *(row[index].text for row in rows)))
        for index, column in enumerate(columns)
    ]
    shown = _shown(columns, natural, width)
    widths = _cut(columns, natural, shown, width)
    header = [Span(column.title, Style.FAINT) for column in columns]
    lines = [_line([cells[index] for index in shown], widths) for cells in (header, *rows)]
    return fit_all(lines, width)


def _narrowest(column: Column, natural: int) -> int:
    return natural if column.min_width is None else min(natural, column.min_width)


def _shown(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> list[int]:
    """Return the indexes of the columns that fit at their narrowest."""
    shown = [index for index, _ in enumerate(columns)]
    while width is not None and any(columns[index].rank for index in shown):
        narrowest = [_narrowest(columns[index], natural[index]) for index in shown]
        if sum(narrowest) + _GAP * (len(shown) - 1) <= width:
            break
        shown.remove(max(shown, key=lambda index: columns[index].rank))
    return shown


def _cut(
    columns: Sequence[Column], natural: Sequence[int], shown: Sequence[int], width: int | None
) -> list[int]:
    """Return the widths of the columns that are shown: the widest are cut first."""
    widths = {index: natural[index] for index in shown}
    while width is not None and sum(widths.values()) + _GAP * (len(shown) - 1) > width:
        room = {
            index: widths[index] - _narrowest(columns[index], natural[index]) for index in shown
        }
        index = max(room, key=lambda index: room[index])
        if room[index] <= 0:
            break
        widths[index] -= 1
    return [widths[index] for index in shown]


def _line(cells: Sequence[Span], widths: Sequence[int]) -> Line:
    spans: list[Span] = []
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text = shorten(cell.text, width)
        is_last = index == len(cells) - 1
        padding = "" if is_last else " " * (width - cell_width(text) + _GAP)
        spans += [Span(text, cell.style), Span(padding)]
    return _without_trailing_space(spans)


def _without_trailing_space(spans: list[Span]) -> Line:
    while spans and not spans[-1].text.strip():
        spans.pop()
    return tuple(spans)
