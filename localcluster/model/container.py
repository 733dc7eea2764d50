"""Writing a stand-in model as a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from localcluster.model.network import (
    CONTEXT,
    HEAD,
    HEADS,
    ROPE_BASE,
    WIDTH,
    Matrix,
    Network,
    build,
    norm_weight,
)
from localcluster.model.vocabulary import BEGIN, END, UNKNOWN, Token, Vocabulary

FEED_FORWARD = 32  # unused, all zero, and as small as the format allows


def write(path: Path, model: str, *, padding_bytes: int = 0) -> None:
    """Write the stand-in for ``model``; the same arguments give the same bytes.

    ``padding_bytes`` makes the file about that much larger, with zeros in the unused feed-forward
    weights: for downloads that take a while.
    """
    vocabulary = Vocabulary(model)
    writer = GGUFWriter(path, "llama")
    width = _feed_forward_width(padding_bytes)
    _write_shape(writer, model, vocabulary, width)
    write_tokenizer(writer, vocabulary.tokens)
    _write_tensors(writer, build(vocabulary), width)
    finish(writer)


def write_tokenizer(writer: GGUFWriter, tokens: Sequence[Token]) -> None:
    """Write what cuts text into these tokens: they must include BEGIN, END and UNKNOWN."""
    texts = [token.text for token in tokens]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(texts)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([int(token.kind) for token in tokens])
    writer.add_bos_token_id(texts.index(BEGIN))
    writer.add_eos_token_id(texts.index(END))
    writer.add_unk_token_id(texts.index(UNKNOWN))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)


def finish(writer: GGUFWriter) -> None:
    """Write everything to the file and close it."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _feed_forward_width(padding_bytes: int) -> int:
    """Two layers hold three matrices each of WIDTH times this many 4-byte numbers."""
    rows = padding_bytes // (2 * 3 * WIDTH * 4)
    return FEED_FORWARD + rows // 32 * 32


def _write_shape(writer: GGUFWriter, model: str, vocabulary: Vocabulary, width: int) -> None:
    writer.add_name(f"a stand-in for {model}, written by hand; not the real model")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(2)
    writer.add_feed_forward_length(width)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(HEAD)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_vocab_size(len(vocabulary.tokens))
    writer.add_file_type(0)  # all 32-bit


def _write_tensors(writer: GGUFWriter, network: Network, width: int) -> None:
    writer.add_tensor("token_embd.weight", network.embedding)
    writer.add_tensor("output_norm.weight", norm_weight())
    writer.add_tensor("output.weight", network.output)
    for index, layer in enumerate(network.layers):
        tensors: dict[str, Matrix] = {
            "attn_norm": norm_weight(),
            "ffn_norm": norm_weight(),
            "attn_q": layer.query.T,
            "attn_k": layer.key.T,
            "attn_v": layer.value.T,
            "attn_output": layer.output.T,
            "ffn_gate": np.zeros((width, WIDTH), np.float32),
            "ffn_up": np.zeros((width, WIDTH), np.float32),
            "ffn_down": np.zeros((WIDTH, width), np.float32),
        }
        for name, tensor in tensors.items():
            writer.add_tensor(f"blk.{index}.{name}.weight", np.ascontiguousarray(tensor))
