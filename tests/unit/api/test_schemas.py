import pytest
from pydantic import ValidationError

from aichat_workspace.api.schemas import MAX_VALUES, SignIn, WorkspaceCreate, WorkspacePatch
from aichat_workspace.domain.spec import MAX_MODELS, MAX_PATTERNS


@pytest.mark.parametrize(
    ("body", "of"),
    [
        ({"spec": {"workspaceName": "a", "models": [1] * (MAX_VALUES + 1)}}, WorkspaceCreate),
        ({"spec": {str(each): 1 for each in range(MAX_VALUES + 1)}}, WorkspacePatch),
        ({str(each): 1 for each in range(MAX_VALUES + 1)}, SignIn),
    ],
)
def test_of_a_body_with_too_many_values_none_is_looked_at(body: object, of: type) -> None:
    with pytest.raises(ValidationError) as caught:
        of.model_validate(body)  # type: ignore[attr-defined]
    assert len(caught.value.errors()) == 1
    assert f"more than {MAX_VALUES} values" in str(caught.value)


def test_the_largest_workspace_has_room() -> None:
    spec = {
        "workspaceName": "a",
        "models": [f"m{each}:1" for each in range(MAX_MODELS)],
        "patterns": [f"p{each}" for each in range(MAX_PATTERNS)],
    }
    assert len(WorkspaceCreate.model_validate({"spec": spec}).spec.models) == MAX_MODELS
