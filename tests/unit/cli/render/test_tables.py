"""Tables that fit."""

from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.cli.render.lines import Span, cell_width, text_of
from aichat_workspace.cli.render.tables import Column, table

COLUMNS = (Column("NAME", min_width=6), Column("URL", rank=2, min_width=8), Column("AGE", rank=1))
ROWS = [(Span("red-chat"), Span("https://red-chat.example.org"), Span("9d"))]


def rows_at(width: int | None) -> list[str]:
    return [text_of(spans) for spans in table(COLUMNS, ROWS, width)]


def test_a_wide_table_is_whole_and_has_no_trailing_space() -> None:
    whole = [
        "NAME      URL                           AGE",
        "red-chat  https://red-chat.example.org  9d",
    ]
    assert rows_at(None) == rows_at(80) == whole


def test_the_widest_column_is_cut_first() -> None:
    assert rows_at(30)[1] == "red-chat  https://red-ch…  9d"


def test_the_least_important_column_is_left_out_when_it_can_not_be_cut_further() -> None:
    assert rows_at(20)[1] == "red-chat  9d"
    assert rows_at(9)[1] == "red-chat"
    assert rows_at(7)[1] == "red-ch…"


@given(
    st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["C"]), max_size=40)] * 3)),
    st.integers(1, 120),
)
def test_no_row_is_wider_than_the_terminal(cells: list[tuple[str, ...]], width: int) -> None:
    rows = [tuple(map(Span, row)) for row in cells]
    assert all(cell_width(text_of(spans)) <= width for spans in table(COLUMNS, rows, width))
