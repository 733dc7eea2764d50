"""The table of well-known models says what can be true."""

from datetime import date
from itertools import pairwise

import pytest

from aichat_workspace.domain.models.catalogue import (
    CHECKED,
    KNOWN_MODELS,
    Capability,
    KnownModel,
)
from aichat_workspace.domain.models.name import model_key, parse_model
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec

by_name = pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda model: model.name)


@by_name
def test_a_model_has_the_name_that_ollama_lists(model: KnownModel) -> None:
    name = parse_model(model.name)
    assert str(name) == model.name == model_key(model.name)
    assert not name.is_hosted
    assert model.source == f"https://ollama.com/library/{name.name}"


@by_name
def test_a_model_embeds_or_answers_and_its_numbers_are_of_their_kind(model: KnownModel) -> None:
    answers = Capability.COMPLETION in model.capabilities
    assert answers is not (Capability.EMBEDDING in model.capabilities)
    assert 10**7 < model.size_bytes < 10**12
    assert 256 <= model.context_length <= 2**20
    assert model.licence


def test_no_model_is_there_twice() -> None:
    names = [model.name for model in KNOWN_MODELS]
    assert len({*names}) == len(names)


def test_larger_models_of_a_family_are_larger() -> None:
    sizes = [model.size_bytes for model in KNOWN_MODELS if model.name.startswith("gemma3:")]
    assert all(smaller < larger for smaller, larger in pairwise(sizes))


def test_the_platforms_own_model_for_documents_is_known() -> None:
    embedding = str(parse_model(PlatformSpec().models.embedding_model))
    (model,) = (model for model in KNOWN_MODELS if model.name == embedding)
    assert model.capabilities == (Capability.EMBEDDING,)


def test_the_day_of_the_look_up_is_a_day() -> None:
    assert date.fromisoformat(CHECKED).year >= 2026
