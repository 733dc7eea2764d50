"""A conversation as one prompt: the API takes no earlier turns by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_MAX_LENGTH: Final = 32_000  # the API takes 32,768 characters


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its reply."""

    question: str
    reply: str


def as_prompt(turns: Sequence[Turn], question: str) -> str:
    """Return the question with what came before it; the oldest turns are left out if need be."""
    if not turns:
        return question
    ending = f"User: {question}\nAssistant:"
    parts: list[str] = []
    room = _MAX_LENGTH - len(ending)
    for turn in reversed(turns):
        part = f"User: {turn.question}\nAssistant: {turn.reply}\n"
        if len(part) > room:
            break
        parts.insert(0, part)
        room -= len(part)
    return "".join(parts) + ending
