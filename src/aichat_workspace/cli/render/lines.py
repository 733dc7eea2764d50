"""Lines of styled text. Colour only marks what a word or sign says, too."""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Control characters move a terminal's cursor or set its title; the others reorder what is read.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
_ELLIPSIS: Final = "…"


class Style(StrEnum):
    """What a piece of text means, as a style of Rich's."""

    PLAIN = ""
    GOOD = "green"
    WORKING = "yellow"
    BAD = "red"
    FAINT = "dim"
    TITLE = "bold"


@dataclass(frozen=True, slots=True)
class Span:
    """Text in one style."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]
BLANK: Final[Line] = ()


def line(text: str, style: Style = Style.PLAIN) -> Line:
    """Return a line in one style."""
    return (Span(text, style),)


def plain(text: str) -> str:
    """Return text of others without what a terminal would obey."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def text_of(spans: Line) -> str:
    """Return a line without its styles."""
    return "".join(span.text for span in spans)


def cell_width(text: str) -> int:
    """Return how many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shorten(text: str, width: int) -> str:
    """Cut text to a number of cells; the ellipsis takes one."""
    if cell_width(text) <= width:
        return text
    kept_text = text[: max(width - 1, 0)]
    while kept_text and cell_width(kept_text) > width - 1:
        kept_text = kept_text[:-1]
    return kept_text + _ELLIPSIS if width > 0 else ""


def fit(spans: Line, width: int | None) -> Line:
    """Cut a line to a width; None for any."""
    if width is None or cell_width(text_of(spans)) <= width:
        return spans
    fitted: list[Span] = []
    room = width
    for span in spans:
        text = shorten(span.text, room)
        fitted.append(Span(text, span.style))
        room -= cell_width(text)
        if text != span.text:
            break
    return tuple(fitted)


def fit_all(lines: Iterable[Line], width: int | None) -> list[Line]:
    """Cut lines to a width; None for any."""
    return [fit(spans, width) for spans in lines]


def paragraph(
    text: str, width: int | None, *, first: Line = (), indent: int = 0, style: Style = Style.PLAIN
) -> list[Line]:
    """Wrap text to a width, behind `first` and with the rows after it indented."""
    if width is None:
        return [(*first, Span(text, style))]
    head = cell_width(text_of(first))
    rows = textwrap.wrap(
        text,
        max(width, indent + 10),
        initial_indent=" " * head,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [" " * head]
    lines: list[Line] = [(*first, Span(rows[0][head:], style))]
    return [*lines, *(line(row, style) for row in rows[1:])]
