"""A few lines of numpy that run a network as the real engine does, one token after the other."""

import numpy as np

from localcluster.model.network import HEAD, HEADS, ROPE_BASE, Layer, Matrix, Network, norm_weight
from localcluster.model.vocabulary import ASSISTANT, BEGIN, END, SYSTEM, USER, Kind, Vocabulary


def reply(vocabulary: Vocabulary, network: Network, *exchange: str, system: str = "") -> str:
    """What the model answers to messages in turn: user, assistant, user, …"""
    marks = [SYSTEM, system] if system else []
    for index, text in enumerate(exchange):
        marks += [USER, text] if index % 2 == 0 else [ASSISTANT, text, END]
    ids = _tokenize(vocabulary, [BEGIN, *marks, ASSISTANT])
    said = ""
    while ids[-1] != vocabulary.id_of(END):
        ids.append(_next(network, ids))
        said += vocabulary.tokens[ids[-1]].text
    return said.removesuffix(END)


def _tokenize(vocabulary: Vocabulary, parts: list[str]) -> list[int]:
    """Special tokens first, longest first, then single characters."""
    special = [t.text for t in vocabulary.tokens if t.kind in (Kind.CONTROL, Kind.USER_DEFINED)]
    for word in sorted(special, key=len, reverse=True):
        parts = [piece for part in parts for piece in _split(part, word, special)]
    ids: list[int] = []
    for part in parts:
        other = vocabulary.id_of("<0x21>")
        ids += [vocabulary.id_of(part)] if part in special else [other] * len(part)
    return ids


def _split(part: str, word: str, special: list[str]) -> list[str]:
    if part in special:
        return [part]
    pieces = part.split(word)
    return [each for piece in pieces for each in (word, piece)][1:]


def _next(network: Network, ids: list[int]) -> int:
    hidden = network.embedding[ids]
    for layer in network.layers:
        hidden = hidden + _attend(layer, _norm(hidden))
    logits: Matrix = network.output @ _norm(hidden)[-1]
    return int(np.argmax(logits))


def _norm(hidden: Matrix) -> Matrix:
    scale = np.sqrt(np.mean(hidden**2, axis=-1, keepdims=True) + 1e-6)
    return np.asarray(hidden / scale * norm_weight(), np.float32)


def _attend(layer: Layer, hidden: Matrix) -> Matrix:
    length = len(hidden)
    query = _turn(_half(hidden @ layer.query).reshape(length, HEADS, HEAD))
    key = _half(_turn((hidden @ layer.key).reshape(length, HEADS, HEAD)))
    value = (hidden @ layer.value).reshape(length, HEADS, HEAD)
    scores = query.transpose(1, 0, 2) @ key.transpose(1, 2, 0) / np.sqrt(HEAD)
    scores = np.where(np.tril(np.ones((length, length), bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed = (weights @ value.transpose(1, 0, 2)).transpose(1, 0, 2).reshape(length, HEADS * HEAD)
    return np.asarray(mixed @ layer.output, np.float32)


def _half(matrix: Matrix) -> Matrix:
    """The precision in which the engine keeps keys."""
    return matrix.astype(np.float16).astype(np.float32)


def _turn(matrix: Matrix) -> Matrix:
    """Rotary position embedding over neighbouring pairs."""
    rates = ROPE_BASE ** (-np.arange(0, HEAD, 2) / HEAD)
    angles = np.arange(len(matrix))[:, None, None] * rates
    even, odd = matrix[..., 0::2], matrix[..., 1::2]
    turned = np.empty_like(matrix)
    turned[..., 0::2] = even * np.cos(angles) - odd * np.sin(angles)
    turned[..., 1::2] = even * np.sin(angles) + odd * np.cos(angles)
    return turned
