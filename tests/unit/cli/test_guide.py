"""What the guide suggests and takes."""

import pytest

from aichat_workspace.cli.guide import Wish, chosen_name, name_problem, suggest_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Red Chat!", "red-chat"),
        ("1st team", "st-team"),
        ("Ünï", "n"),
        ("é", ""),
        ("a" * 60, "a" * 45),
    ],
)
def test_a_suggestion_is_a_valid_name(text: str, name: str) -> None:
    assert suggest_name(text) == name
    assert not name or name_problem(name) == ""


def test_a_wrong_name_is_told_the_rule_and_a_suggestion() -> None:
    assert name_problem("Red Chat").endswith("for example red-chat")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("1", "gemma2:2b"),
        ("9", "9"),
        ("gemma", "gemma2:2b"),
        ("llama", "llama"),  # of two
        ("llama3.2:1", "llama3.2:1"),  # a tag is meant as it is
    ],
)
def test_a_word_is_a_number_the_only_name_like_it_or_itself(word: str, name: str) -> None:
    assert chosen_name(word, ["gemma2:2b", "llama3.2:1b", "llama3.3:70b"]) == name


def test_the_same_command_is_quoted_for_a_shell() -> None:
    wish = Wish("red", "team", ("a b",), ("p",))
    assert wish.command == "aichatctl create red --team team --model 'a b' --pattern p"
    sized = Wish("red", class_name="small")
    assert sized.command == "aichatctl create red --class small"
    assert sized.spec == {"workspaceName": "red", "className": "small"}
