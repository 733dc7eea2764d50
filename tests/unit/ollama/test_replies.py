"""Events of a reply become pieces, and only what the server states is told."""

from typing import Any

import pytest

from aichat_workspace.ollama.replies import ReplyEnd, ReplyPiece, parse_piece


@pytest.mark.parametrize(
    ("event", "piece"),
    [
        ({"message": {"content": "Good"}}, ReplyPiece("Good")),
        ({"message": {"content": "", "thinking": "Hm"}}, ReplyPiece(thinking="Hm")),
        ({"message": {"thinking": "Hm"}}, ReplyPiece(thinking="Hm")),
        ({"message": {"role": "assistant"}}, ReplyPiece()),
        ({"done": False}, ReplyPiece()),
        ({"message": {"content": 7}}, None),
        ({"message": {"content": "Good", "thinking": 7}}, None),
        ({"message": {"thinking": 7}}, None),
        ({"message": "hello"}, None),
        ({"message": None}, None),
    ],
)
def test_an_event_is_a_piece_or_none(event: dict[str, Any], piece: ReplyPiece | None) -> None:
    assert parse_piece(event) == piece


@pytest.mark.parametrize(
    ("event", "end"),
    [
        (
            {
                "done_reason": "length",
                "prompt_eval_count": 11,
                "eval_count": 4,
                "total_duration": 1_500_000_000,
            },
            ReplyEnd("length", 11, 4, 1.5),
        ),
        ({}, ReplyEnd(None, None, None, None)),
        ({"done_reason": 7, "eval_count": -1, "total_duration": "1s"}, ReplyEnd(*[None] * 4)),
    ],
)
def test_the_last_event_has_the_end(event: dict[str, Any], end: ReplyEnd) -> None:
    assert parse_piece({"done": True, **event}) == ReplyPiece(end=end)
