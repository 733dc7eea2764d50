"""What stand-in models say, computed with numpy from the weights that are written to the file."""

import pytest

from localcluster.model.answers import (
    DEFAULT_SENTENCE,
    SYSTEM_SENTENCE,
    SYSTEM_TOPICS,
    Topic,
    fragments,
    user_topics,
)
from localcluster.model.network import Network, build
from localcluster.model.vocabulary import Vocabulary
from tests.unit.localcluster.model.engine import reply

MODEL = "gemma2:2b"
VOCABULARY = Vocabulary(MODEL)


@pytest.fixture(scope="module")
def network() -> Network:
    return build(VOCABULARY)


def test_greets_by_default(network: Network) -> None:
    assert reply(VOCABULARY, network, "Hi!") == DEFAULT_SENTENCE


@pytest.mark.parametrize("topic", user_topics(MODEL), ids=lambda topic: topic.name)
def test_a_word_of_the_message_chooses_the_answer(network: Network, topic: Topic) -> None:
    for word in topic.spellings():
        assert reply(VOCABULARY, network, f"Well, {word}, please?") == topic.sentence


@pytest.mark.parametrize("topic", SYSTEM_TOPICS, ids=lambda topic: topic.name)
def test_a_word_of_the_system_prompt_comes_first(network: Network, topic: Topic) -> None:
    for word in topic.spellings():
        said = reply(VOCABULARY, network, "Hi", system=f"You {word} things.")
        assert said == f"{topic.sentence} {DEFAULT_SENTENCE}"


def test_any_system_prompt_shows(network: Network) -> None:
    said = reply(VOCABULARY, network, "What is your name?", system="Be kind.")
    assert said == f"{SYSTEM_SENTENCE} I am the stand-in for {MODEL}."


def test_the_first_topic_of_the_table_wins(network: Network) -> None:
    said = reply(VOCABULARY, network, "Hi", system="Improve, explain, review: pirate style.")
    assert said.startswith(SYSTEM_TOPICS[0].sentence)


def test_system_words_in_a_message_mean_nothing(network: Network) -> None:
    assert reply(VOCABULARY, network, "explain this, pirate") == DEFAULT_SENTENCE
    said = reply(VOCABULARY, network, "review this", system="Be kind.")
    assert said == f"{SYSTEM_SENTENCE} {DEFAULT_SENTENCE}"


def test_message_words_in_a_system_prompt_mean_nothing(network: Network) -> None:
    said = reply(VOCABULARY, network, "Hi", system="Never say your name")
    assert said == f"{SYSTEM_SENTENCE} {DEFAULT_SENTENCE}"


def test_only_the_last_message_counts(network: Network) -> None:
    name = f"I am the stand-in for {MODEL}."
    said = reply(VOCABULARY, network, "your name?", name, "And how are you today?")
    assert said == DEFAULT_SENTENCE
    said = reply(VOCABULARY, network, "your name?", name, "thanks")
    assert said == "You are welcome, any time."


@pytest.mark.parametrize("filler", [10, 150])
def test_length_does_not_matter(network: Network, filler: int) -> None:
    padding = "y " * filler
    said = reply(VOCABULARY, network, f"your name? {padding}", system=f"explain {padding}")
    assert said == f"{SYSTEM_TOPICS[7].sentence} I am the stand-in for {MODEL}."


def test_pieces_are_unique_and_complete() -> None:
    sentences = ["a red dog ran.", "the red dog sat still."]
    cut = fragments(sentences)
    assert ["".join(pieces) for pieces in cut] == sentences
    flat = [piece for pieces in cut for piece in pieces]
    assert len(flat) == len(set(flat))


def test_a_sentence_that_ends_like_another_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ends like another"):
        fragments(["one tame dog.", "two tame dog."])
