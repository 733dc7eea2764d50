"""Counts in words."""

from aichat_workspace.cli.render import words


def test_a_count_agrees_with_its_noun() -> None:
    assert [words.count(number, "model") for number in (0, 1, 2)] == [
        *("0 models", "1 model", "2 models")
    ]
