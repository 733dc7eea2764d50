"""A conversation as one prompt."""

from aichat_workspace.cli.conversation import Turn, as_prompt


def test_a_first_question_is_sent_as_it_is() -> None:
    assert as_prompt([], "Hi") == "Hi"


def test_the_oldest_turns_are_left_out_where_there_is_no_room() -> None:
    turns = [Turn(f"question {number}", "x" * 10_000) for number in range(5)]
    prompt = as_prompt(turns, "last")
    assert len(prompt) < 32_768
    assert ("question 1" in prompt, "question 2" in prompt) == (False, True)
    assert prompt.endswith("User: last\nAssistant:")
