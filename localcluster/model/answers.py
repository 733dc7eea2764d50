"""What a stand-in model says, and which words make it say so."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MIN_FRAGMENT = 4  # shorter tokens could be reached by merging the characters of a prompt


@dataclass(frozen=True)
class Topic:
    """One sentence, said when any of ``words`` was read. Words match anywhere, as they are spelled,
    also inside longer words, with a small or a capital first letter."""

    name: str
    words: tuple[str, ...]
    sentence: str

    def spellings(self) -> tuple[str, ...]:
        """Every spelling that counts, in a fixed order."""
        return tuple(sorted({form for w in self.words for form in (w, w[0].upper() + w[1:])}))


DEFAULT_SENTENCE: Final = "Hello from your private workspace."
SYSTEM_SENTENCE: Final = "My system prompt has shaped this answer."

# A word of the system prompt puts a sentence in front of the answer; the first that is found wins.
SYSTEM_TOPICS: Final = (
    Topic("pirate", ("pirate",), "Arr, ye speak with a pirate now."),
    Topic("commit", ("commit message",), "A fitting commit would say why it changed."),
    Topic("translate", ("translat",), "Translated, that means the same elsewhere."),
    Topic("brainstorm", ("brainstorm", "ideas"), "Three ideas come to mind right away."),
    Topic("facts", ("extract", "facts"), "These facts are stated, no others."),
    Topic("review", ("review",), "Reviewed with care, nothing alarming found."),
    Topic("summary", ("summar",), "Here is a summary in a few words."),
    Topic("explain", ("explain",), "Let me explain this code step by step."),
    Topic("writing", ("improve", "rewrite", "edit text"), "I would write it more clearly like so."),
)


def user_topics(model: str) -> tuple[Topic, ...]:
    """A word of the last message chooses the answer. ``model`` is the name it goes by."""
    numbers = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    counted = ", ".join(numbers.split())
    return (
        Topic("name", ("your name", "who are you"), f"I am the stand-in for {model}."),
        Topic("count", ("count to",), f"Counting: {counted}, done."),
        Topic("thanks", ("thank",), "You are welcome, any time."),
        Topic("weather", ("weather",), "No window here, ask the sky about rain."),
    )


def fragments(sentences: Sequence[str], taken: Iterable[str] = ()) -> tuple[tuple[str, ...], ...]:
    """Cut each sentence into pieces that occur nowhere else, so that each piece can be one token
    whose successor is certain.

    Raises:
        ValueError: a sentence's end repeats another's and cannot be told apart.
    """
    used = set(taken)
    cut = []
    for sentence in sentences:
        pieces, piece = [], ""
        for word in re.findall(r" ?[^ ]+ ?$| ?[^ ]+", sentence):
            piece += word
            if len(piece) >= MIN_FRAGMENT and piece not in used:
                used.add(piece)
                pieces.append(piece)
                piece = ""
        if piece:
            raise ValueError(f"{sentence!r} ends like another sentence: {piece!r}")
        cut.append(tuple(pieces))
    return tuple(cut)
