"""The weights: a two-layer transformer whose attention finds words and whose output continues.

How it thinks, all of it by ordinary inference:

* Every token's embedding is one number for its meaning and one constant, so that queries can ask
  the same question everywhere.
* Layer 0 has one head that finds whether a message has begun before or at a token ("spoken").
* Layer 1 has three heads. *System* finds a known word that stands before any message; *user* finds
  the last known word of the last message (a position signal from the rotary embedding makes later
  ones win, and the start of the message wins over words of older messages); *prompted* finds
  whether there is a system prompt at all. Each copies the meaning it found into the residual.
* The output matrix sends each piece of a sentence to the next one, and at the two branching points
  (start, and after the system prompt's sentence) lets the copied meanings choose.

Scores are hundreds apart before the softmax, so attention is a sharp choice at any length.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from localcluster.model.vocabulary import ASSISTANT, BEGIN, END, OTHER, SYSTEM, USER, Vocabulary

Matrix = NDArray[np.float32]

WIDTH: Final = 256
HEADS: Final = 4
HEAD: Final = WIDTH // HEADS
CONTEXT: Final = 4096
ROPE_BASE: Final = 1e8
# Pairs of a head's dimensions turn by position times ROPE_BASE^(-2·pair/HEAD). The last two hardly
# turn at all; pair 15 turns by 0.73 in 4,096 positions, which is a clock.
_STILL, _FINE, _CLOCK = 62, 60, 30
_CLOCK_RATE: Final = ROPE_BASE ** (-_CLOCK / HEAD)

_QUERY: Final = 96.0
_FOUND: Final = 2200.0  # the score of a word that was found
_PER_TOKEN: Final = 0.4  # how much an older word loses for each token since
_MESSAGE_START: Final = -6.0  # the start of a message scores this much below a word of it
_PRIORITY: Final = 12.0  # between neighbours in the table of system topics

_CHAIN, _SYSTEM_CHOICE, _PROMPTED, _USER_CHOICE, _DEFAULT = 80.0, 40.0, 30.0, 20.0, 10.0


@dataclass(frozen=True)
class Layout:
    """Which dimension of the residual stream means what. Dimension 0 is the constant."""

    dimensions: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.dimensions[name]


@dataclass
class Layer:
    """The attention of one layer, as (input, output) matrices."""

    query: Matrix = field(default_factory=lambda: np.zeros((WIDTH, WIDTH), np.float32))
    key: Matrix = field(default_factory=lambda: np.zeros((WIDTH, WIDTH), np.float32))
    value: Matrix = field(default_factory=lambda: np.zeros((WIDTH, WIDTH), np.float32))
    output: Matrix = field(default_factory=lambda: np.zeros((WIDTH, WIDTH), np.float32))


@dataclass(frozen=True)
class Network:
    """All weights. ``embedding`` and ``output`` have one row for each token."""

    embedding: Matrix
    layers: tuple[Layer, Layer]
    output: Matrix


def build(vocabulary: Vocabulary) -> Network:
    """The network that gives the vocabulary's answers.

    Raises:
        ValueError: more meanings than the network is wide.
    """
    layout = _layout(vocabulary)
    embedding = np.zeros((len(vocabulary.tokens), WIDTH), np.float32)
    embedding[:, 0] = 1
    for index, token in enumerate(vocabulary.tokens):
        embedding[index, layout[token.meaning]] = 1
    layers = (_first_layer(layout), _second_layer(layout, vocabulary))
    return Network(embedding, layers, _output(layout, vocabulary))


def norm_weight() -> Matrix:
    """Undoes what normalising does to a plain embedding (two ones among zeros)."""
    return np.full(WIDTH, math.sqrt(2 / WIDTH), np.float32)


def _layout(vocabulary: Vocabulary) -> Layout:
    found = [f"found {m}" for m in (*vocabulary.system_answers, *vocabulary.user_answers)]
    names = ["one", *vocabulary.meanings, "spoken", "prompted", *found]
    if len(names) > WIDTH:
        raise ValueError(f"{len(names)} meanings do not fit {WIDTH} dimensions")
    return Layout({name: index for index, name in enumerate(names)})


def _key(score: float) -> float:
    """The key that gives this score to a query of our strength."""
    return score * math.sqrt(HEAD) / _QUERY


def _ask(layer: Layer, head: int) -> None:
    for dimension in (_STILL, _FINE, _CLOCK):
        layer.query[0, head * HEAD + dimension] = _QUERY


def _exists(layer: Layer, head: int, *, seen: int, sink: int, told: int) -> None:
    """Head ``head`` sets dimension ``told`` where ``seen`` occurred before or at a token."""
    _ask(layer, head)
    layer.key[seen, head * HEAD + _STILL] = _key(_FOUND)
    layer.key[sink, head * HEAD + _STILL] = _key(_FOUND / 2)
    layer.value[seen, head * HEAD] = 1
    layer.output[head * HEAD, told] = 1


def _first_layer(layout: Layout) -> Layer:
    layer = Layer()
    _exists(layer, 0, seen=layout[USER], sink=layout[BEGIN], told=layout["spoken"])
    return layer


def _second_layer(layout: Layout, vocabulary: Vocabulary) -> Layer:
    layer = Layer()
    _exists(layer, 0, seen=layout[SYSTEM], sink=layout[BEGIN], told=layout["prompted"])
    _system_head(layer, 1, layout, tuple(vocabulary.system_answers))
    _user_head(layer, 2, layout, tuple(vocabulary.user_answers))
    return layer


def _system_head(layer: Layer, head: int, layout: Layout, meanings: tuple[str, ...]) -> None:
    base = head * HEAD
    _ask(layer, head)
    layer.key[layout[BEGIN], base + _STILL] = _key(_FOUND / 2)
    layer.key[layout["spoken"], base + _STILL] = -_key(2 * _FOUND)
    for rank, meaning in enumerate(meanings):
        layer.key[layout[meaning], base + _STILL] = _key(_FOUND)
        layer.key[layout[meaning], base + _FINE] = -_key(_PRIORITY * rank)
        _copy(layer, head, rank, seen=layout[meaning], told=layout[f"found {meaning}"])


def _user_head(layer: Layer, head: int, layout: Layout, meanings: tuple[str, ...]) -> None:
    base = head * HEAD
    _ask(layer, head)
    layer.key[layout["spoken"], base + _STILL] = _key(2 * _FOUND)
    layer.key[layout[USER], base + _FINE] = _key(_MESSAGE_START)
    for rank, meaning in enumerate((USER, *meanings)):
        layer.key[layout[meaning], base + _STILL] = _key(_FOUND)
        # Query (a, 0) and key (0, -b), turned to their positions: -a·b·sin(rate·distance).
        layer.key[layout[meaning], base + _CLOCK + 1] = -_key(_PER_TOKEN / _CLOCK_RATE)
        if meaning != USER:
            _copy(layer, head, rank, seen=layout[meaning], told=layout[f"found {meaning}"])


def _copy(layer: Layer, head: int, slot: int, *, seen: int, told: int) -> None:
    layer.value[seen, head * HEAD + slot] = 1
    layer.output[head * HEAD + slot, told] = 1


def _output(layout: Layout, vocabulary: Vocabulary) -> Matrix:
    output = np.zeros((len(vocabulary.tokens), WIDTH), np.float32)

    def prefer(text: str, given: str, strength: float) -> None:
        output[vocabulary.id_of(text), layout[given]] = strength

    before = {**vocabulary.system_answers, SYSTEM: vocabulary.system_default}
    answers = {**vocabulary.user_answers, OTHER: vocabulary.user_default}
    for pieces in (*before.values(), *answers.values()):
        for piece, following in itertools.pairwise(pieces):
            prefer(following, piece, _CHAIN)
    for pieces in answers.values():
        prefer(END, pieces[-1], _CHAIN)
    for meaning, pieces in vocabulary.system_answers.items():
        prefer(pieces[0], f"found {meaning}", _SYSTEM_CHOICE)
    prefer(vocabulary.system_default[0], "prompted", _PROMPTED)
    for meaning, pieces in vocabulary.user_answers.items():
        prefer(pieces[0], f"found {meaning}", _USER_CHOICE)
    for pieces in before.values():
        prefer(vocabulary.user_default[0], pieces[-1], _DEFAULT)
        for again in before.values():
            prefer(again[0], pieces[-1], -_CHAIN)
    for start in (ASSISTANT, OTHER, END):
        prefer(vocabulary.user_default[0], start, _DEFAULT)
    return output
