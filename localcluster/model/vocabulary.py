"""The tokens of a stand-in model, and what each one means to it."""

import string
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final

from localcluster.model.answers import (
    DEFAULT_SENTENCE,
    SYSTEM_SENTENCE,
    SYSTEM_TOPICS,
    fragments,
    user_topics,
)


class Kind(IntEnum):
    """GGUF's token types (``tokenizer.ggml.token_type``)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4  # found in any text before it is cut into characters
    BYTE = 6


@dataclass(frozen=True)
class Token:
    """``meaning`` is what the network sees: tokens of one meaning look the same to it."""

    text: str
    kind: Kind
    meaning: str


BEGIN, UNKNOWN, SYSTEM, USER, ASSISTANT, END = "<s>", "<unk>", "<|s|>", "<|u|>", "<|a|>", "<|e|>"
SPACE: Final = "\u2581"  # how the tokenizer spells a space in what it reads
OTHER: Final = "other"  # a character or byte that nothing depends on

# How Ollama writes a conversation. It runs once for each exchange, with the system prompt in the
# first only.
TEMPLATE: Final = (
    f"{{{{ if .System }}}}{SYSTEM}{{{{ .System }}}}{{{{ end }}}}"
    f"{USER}{{{{ .Prompt }}}}{ASSISTANT}{{{{ .Response }}}}{END}"
)


def _common_text() -> tuple[str, ...]:
    """Characters, and pairs of small letters so that a prompt needs half as many tokens."""
    letters = f"{string.ascii_lowercase}{SPACE}"
    pairs = (a + b for a in letters for b in letters)
    return (SPACE, *(chr(code) for code in range(0x21, 0x7F)), *pairs)


# What any text is made of: bytes, characters and pairs of letters.
PLAIN: Final = (
    *(Token(f"<0x{byte:02X}>", Kind.BYTE, OTHER) for byte in range(256)),
    *(Token(text, Kind.NORMAL, OTHER) for text in _common_text()),
)


@dataclass(frozen=True)
class Vocabulary:
    """What the model named ``model`` reads and says."""

    model: str

    @cached_property
    def system_answers(self) -> dict[str, tuple[str, ...]]:
        """Pieces of each sentence that a system prompt puts first, by the meaning of its word."""
        return {f"system:{t.name}": p for t, p in zip(SYSTEM_TOPICS, self._cut[0], strict=True)}

    @cached_property
    def user_answers(self) -> dict[str, tuple[str, ...]]:
        """Pieces of each answer to a message, by the meaning of its word."""
        topics = user_topics(self.model)
        return {f"user:{t.name}": p for t, p in zip(topics, self._cut[1], strict=True)}

    @cached_property
    def system_default(self) -> tuple[str, ...]:
        """Pieces said first after a system prompt without any known word."""
        return self._cut[2][0]

    @cached_property
    def user_default(self) -> tuple[str, ...]:
        """Pieces of the answer to a message without any known word."""
        return self._cut[2][1]

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Every token; its index is its id. No text occurs twice: the engine refuses that."""
        control = [
            Token(text, Kind.CONTROL, text) for text in (BEGIN, SYSTEM, USER, ASSISTANT, END)
        ]
        unknown = Token(UNKNOWN, Kind.UNKNOWN, OTHER)
        words = [
            Token(word, Kind.USER_DEFINED, f"{where}:{topic.name}")
            for where, topics in (("system", SYSTEM_TOPICS), ("user", user_topics(self.model)))
            for topic in topics
            for word in topic.spellings()
        ]
        said = [Token(text, Kind.NORMAL, text) for text in self.pieces]
        return (control[0], unknown, *control[1:], *words, *said, *PLAIN)

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """Every piece of every sentence."""
        return tuple(piece for sentences in self._cut for pieces in sentences for piece in pieces)

    @cached_property
    def meanings(self) -> tuple[str, ...]:
        """Each meaning once, in the order of the tokens."""
        return tuple(dict.fromkeys(token.meaning for token in self.tokens))

    def id_of(self, text: str) -> int:
        """The id of the token with this text."""
        return self._ids[text]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token.text: index for index, token in enumerate(self.tokens)}

    @cached_property
    def _cut(self) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """Pieces of the system topics' sentences, of the user topics', and of the two defaults."""
        before = [f"{topic.sentence} " for topic in SYSTEM_TOPICS]  # another sentence follows
        answers = [topic.sentence for topic in user_topics(self.model)]
        cut = fragments([*before, *answers, f"{SYSTEM_SENTENCE} ", DEFAULT_SENTENCE])
        return cut[: len(before)], cut[len(before) : -2], cut[-2:]
