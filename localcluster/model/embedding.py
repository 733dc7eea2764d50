"""A stand-in for an embedding model: texts that share letters lie near each other.

Every pair of letters has a fixed random direction, and a text is the mean of its pairs. That is
enough to find the paragraph that a question is about, and for nothing else. The engine takes the
last token's state of this architecture, so an attention that looks everywhere alike makes the mean.
"""

from pathlib import Path
from typing import Final

import numpy as np
from gguf import GGUFWriter, PoolingType

from localcluster.model.container import FEED_FORWARD, finish, write_tokenizer
from localcluster.model.network import CONTEXT, HEAD, Matrix
from localcluster.model.vocabulary import BEGIN, END, OTHER, PLAIN, UNKNOWN, Kind, Token

_SEED: Final = 20260101
_FAINT: Final = 1e-5  # marks and single bytes hardly count: less than what normalising adds
_MEAN: Final = 100.0  # how much the mean counts beside the last token itself
_TOKENS: Final = (
    Token(BEGIN, Kind.CONTROL, BEGIN),
    Token(UNKNOWN, Kind.UNKNOWN, OTHER),
    Token(END, Kind.CONTROL, END),
    *PLAIN,
)


def write(path: Path, model: str, *, dimensions: int) -> None:
    """Write the stand-in for the embedding model ``model``.

    ``dimensions`` is the length of its vectors, a multiple of 64. The same arguments give the same
    bytes.
    """
    writer = GGUFWriter(path, "llama")
    writer.add_name(f"a stand-in for {model}, written by hand; not the real model")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(dimensions)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(dimensions // HEAD)
    writer.add_head_count_kv(dimensions // HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(HEAD)
    writer.add_vocab_size(len(_TOKENS))
    writer.add_pooling_type(PoolingType.MEAN)
    writer.add_file_type(0)
    write_tokenizer(writer, _TOKENS)
    _write_tensors(writer, dimensions)
    finish(writer)


def directions(dimensions: int) -> Matrix:
    """One row for each token."""
    chance = np.random.Generator(np.random.PCG64(_SEED))
    rows = chance.standard_normal((len(_TOKENS), dimensions)).astype(np.float32)
    strength = [1.0 if len(token.text) == 2 else _FAINT for token in _TOKENS]
    return np.asarray(rows * np.asarray(strength, np.float32)[:, None], np.float32)


def _write_tensors(writer: GGUFWriter, dimensions: int) -> None:
    embedding = directions(dimensions)
    same = np.eye(dimensions, dtype=np.float32)
    wide = np.zeros((FEED_FORWARD, dimensions), np.float32)
    ones = np.ones(dimensions, np.float32)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", ones)
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", ones)
    for name, square in (
        ("attn_q", 0 * same),
        ("attn_k", 0 * same),
        ("attn_v", same),
        ("attn_output", np.float32(_MEAN) * same),
    ):
        writer.add_tensor(f"blk.0.{name}.weight", square)
    for name in ("ffn_gate", "ffn_up"):
        writer.add_tensor(f"blk.0.{name}.weight", wide)
    writer.add_tensor("blk.0.ffn_down.weight", np.zeros((dimensions, FEED_FORWARD), np.float32))
