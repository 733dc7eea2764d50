from typing import Any

import pytest
from pydantic import ValidationError

from aichat_workspace.api.schemas.base import MAX_DEPTH, MAX_VALUES
from aichat_workspace.api.schemas.session import SignIn
from aichat_workspace.api.schemas.workspace import Prompt, WorkspaceCreate, WorkspacePatch
from aichat_workspace.domain.v1alpha1.workspace_spec import MAX_MODELS, MAX_PATTERNS


@pytest.mark.parametrize(
    ("body", "model"),
    [
        ({"spec": {"workspaceName": "a", "models": [1] * (MAX_VALUES + 1)}}, WorkspaceCreate),
        ({"spec": {str(number): 1 for number in range(MAX_VALUES + 1)}}, WorkspacePatch),
        ({str(number): 1 for number in range(MAX_VALUES + 1)}, SignIn),
    ],
)
def test_a_body_with_too_many_values_is_refused_with_one_error(body: object, model: type) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)  # type: ignore[attr-defined]
    assert len(caught.value.errors()) == 1
    assert f"more than {MAX_VALUES} values" in str(caught.value)


def test_the_largest_workspace_is_within_the_limits() -> None:
    spec = {
        "workspaceName": "a",
        "models": [f"m{number}:1" for number in range(MAX_MODELS)],
        "patterns": [f"p{number}" for number in range(MAX_PATTERNS)],
    }
    assert len(WorkspaceCreate.model_validate({"spec": spec}).spec.models) == MAX_MODELS


def nested(depth: int) -> dict[str, Any]:
    """A patch of so many levels."""
    body: Any = 1
    for _ in range(depth - 1):
        body = {"a": body}
    return {"spec": body}


def test_a_number_beyond_64_bits_is_refused() -> None:
    WorkspacePatch.model_validate({"spec": {"a": 2**63 - 1}})
    with pytest.raises(ValidationError, match="beyond 64 bits"):
        WorkspacePatch.model_validate({"spec": {"a": [2**63]}})


def test_a_body_deeper_than_the_limit_is_refused() -> None:
    WorkspacePatch.model_validate(nested(MAX_DEPTH))
    with pytest.raises(ValidationError, match="nested deeper"):
        WorkspacePatch.model_validate(nested(MAX_DEPTH + 1))


_HALF = "\ud800"


@pytest.mark.parametrize(
    ("body", "model", "location"),
    [
        ({"team": _HALF, "spec": {"workspaceName": "a"}}, WorkspaceCreate, ("team",)),
        ({"spec": {"models": ["a", f"b{_HALF}"]}}, WorkspacePatch, ("spec", "models", 1)),
        ({"spec": {"quota": {_HALF: 1}}}, WorkspacePatch, ("spec", "quota")),
        ({"prompt": f"Good {_HALF}"}, Prompt, ("prompt",)),
    ],
)
def test_half_of_a_surrogate_pair_is_refused_with_its_location(
    body: object, model: type[Prompt], location: tuple[str | int, ...]
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    assert [error["loc"] for error in caught.value.errors()] == [location]


def test_other_characters_are_accepted() -> None:
    prompt = Prompt.model_validate({"prompt": "Grüße 😀"})
    assert prompt.prompt == "Grüße 😀"
