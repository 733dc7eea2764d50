"""Lines: widths, cuts, and text that a terminal must not obey."""

import pytest

from aichat_workspace.cli.render.lines import (
    Span,
    Style,
    cell_width,
    fit,
    paragraph,
    plain,
    shorten,
    text_of,
)


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abcd", 1, "…"),
        ("abcd", 0, ""),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
    ],
)
def test_text_is_cut_by_cells(text: str, width: int, cut: str) -> None:
    assert shorten(text, width) == cut
    assert cell_width(cut) <= width


def test_a_line_is_cut_where_it_ends_and_keeps_its_styles() -> None:
    spans = (Span("abc", Style.GOOD), Span("def"), Span("g"))
    assert fit(spans, 5) == (Span("abc", Style.GOOD), Span("d…"))
    assert fit(spans, 7) == spans == fit(spans, None)


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\n", "\r", "\u202e", "\u2066"])
def test_what_moves_a_cursor_or_reorders_text_is_replaced(character: str) -> None:
    assert plain(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"
    assert plain("Grüße\t日本") == "Grüße\t日本"


def test_a_paragraph_is_wrapped_behind_its_label() -> None:
    first = (Span("  Why  "),)
    lines = paragraph("one two three four", 18, first=first, indent=7)
    assert [text_of(spans) for spans in lines] == ["  Why  one two", "       three four"]
    (whole,) = paragraph("one two three four", None, first=first, indent=7)
    assert text_of(whole) == "  Why  one two three four"
