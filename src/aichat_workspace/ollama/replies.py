"""The reply to a prompt, piece by piece.

https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
"""

from dataclasses import dataclass
from typing import Any, Final

_NANOSECONDS: Final = 1e9


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """How a reply ended. What the server does not state is None."""

    reason: str | None
    """`stop` for a complete reply, `length` for one that a limit of tokens cut."""
    prompt_tokens: int | None
    reply_tokens: int | None
    """Tokens of the reply, with those of its thinking."""
    seconds: float | None
    """How long it took, with loading the model."""


@dataclass(frozen=True, slots=True)
class ReplyPiece:
    """A piece of a reply; the last one has its end."""

    text: str = ""
    thinking: str = ""
    """What a model that reasons says to itself."""
    end: ReplyEnd | None = None


def parse_piece(event: dict[str, Any]) -> ReplyPiece | None:
    """Read an event of the stream; None for one that no reply has."""
    message = event.get("message", {})
    if not isinstance(message, dict):
        return None
    text, thinking = message.get("content", ""), message.get("thinking", "")
    if not isinstance(text, str) or not isinstance(thinking, str):
        return None
    return ReplyPiece(text, thinking, _end(event) if event.get("done") else None)


def _end(event: dict[str, Any]) -> ReplyEnd:
    reason, duration = event.get("done_reason"), _count(event, "total_duration")
    return ReplyEnd(
        reason if isinstance(reason, str) else None,
        _count(event, "prompt_eval_count"),
        _count(event, "eval_count"),
        None if duration is None else duration / _NANOSECONDS,
    )


def _count(event: dict[str, Any], name: str) -> int | None:
    value = event.get(name)
    return value if isinstance(value, int) and value >= 0 else None
