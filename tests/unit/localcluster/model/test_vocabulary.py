"""The tokenizer's side of a stand-in model."""

from pathlib import Path

from gguf import GGUFReader

from localcluster.model import container
from localcluster.model.vocabulary import Kind, Vocabulary

VOCABULARY = Vocabulary("llama3.2:1b")


def test_no_text_occurs_twice() -> None:
    texts = [token.text for token in VOCABULARY.tokens]
    assert len(texts) == len(set(texts))


def test_no_prompt_can_be_merged_into_a_piece_of_an_answer() -> None:
    """The tokenizer joins two neighbouring tokens when their texts together are a token."""
    plain = {t.text for t in VOCABULARY.tokens if t.kind is Kind.NORMAL}
    pieces = set(VOCABULARY.pieces)
    reachable = plain - pieces
    joined = {(piece[:i], piece[i:]) for piece in pieces for i in range(1, len(piece))}
    assert [pair for pair in joined if set(pair) <= reachable] == []


def test_every_byte_can_be_read() -> None:
    assert sum(token.kind is Kind.BYTE for token in VOCABULARY.tokens) == 256


def test_same_model_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        container.write(tmp_path / name, "gemma2:2b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_padding_makes_the_file_that_much_larger(tmp_path: Path) -> None:
    container.write(tmp_path / "small", "m:1b")
    container.write(tmp_path / "large", "m:1b", padding_bytes=10_000_000)
    grown = (tmp_path / "large").stat().st_size - (tmp_path / "small").stat().st_size
    assert 9_800_000 <= grown <= 10_000_000


def test_the_file_says_that_it_is_a_stand_in(tmp_path: Path) -> None:
    container.write(tmp_path / "m.gguf", "m:1b")
    field = GGUFReader(tmp_path / "m.gguf").get_field("general.name")
    assert field is not None
    assert "stand-in for m:1b" in field.contents()
