"""Pieces of a page."""

from aichat_workspace.documentation.markdown import table


def test_a_cell_can_have_bars_and_angle_brackets() -> None:
    assert [*table(("a", "b"), [("x|y", "<name>")])] == [
        "| a | b |",
        "|---|---|",
        r"| x\|y | &lt;name> |",
    ]
