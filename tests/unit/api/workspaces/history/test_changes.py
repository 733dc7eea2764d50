from typing import Any

import pytest

from aichat_workspace.api.schemas.history import Action
from aichat_workspace.api.workspaces.history import changes
from aichat_workspace.api.workspaces.history.changes import Change, Spec

PASSWORD = "correct-horse"


CLASSES = {"small": ("gemma2:2b", "mistral"), "large": ("mistral", "llama3.2:70b")}


def models_of(spec: Spec) -> tuple[str, ...]:
    own: list[str] | None = spec.get("models")
    return tuple(own) if own else CLASSES.get(spec.get("className", ""), ())


def change(before: Spec, after: Spec) -> Change | None:
    return changes.change(before, after, models_of)


def spec(**fields: Any) -> dict[str, Any]:
    return {"workspaceName": "team-a", **fields}


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        ({}, {"suspended": True}, Action.SUSPEND),
        ({"suspended": True}, {"suspended": False}, Action.RESUME),
        ({"suspended": True}, {}, Action.RESUME),
        ({}, {"restart": {"ollama": "now"}}, Action.RESTART),
        ({}, {"restart": {"ollama": "now", "openWebUI": "now"}}, Action.RESTART),
        ({}, {"access": {"passwordReset": "now"}}, Action.RESET_PASSWORD),
        ({}, {"backup": {"request": "now"}}, Action.BACKUP),
        ({"backup": {"keep": 3}}, {"backup": {"keep": 3, "request": "now"}}, Action.BACKUP),
        ({}, {"backup": {"schedule": "@daily"}}, Action.EDIT),
        ({}, {"restore": {"backup": "20261201T023000Z-0f3b9c2d"}}, Action.RESTORE),
        ({"restore": {"backup": "20261201T023000Z-0f3b9c2d"}}, {}, Action.EDIT),
        ({}, {"suspended": True, "models": ["m"]}, Action.EDIT),
        ({}, {"description": "for all"}, Action.EDIT),
    ],
)
def test_a_change_is_called_what_it_does(
    before: dict[str, Any], after: dict[str, Any], action: Action
) -> None:
    described = change(spec(**before), spec(**after))
    assert described is not None
    assert described.action is action


def test_models_patterns_and_connections_are_named_that_come_and_go() -> None:
    connection = {"name": "example", "url": "https://example.org/v1", "secretName": "key"}
    before = spec(models=["gemma2:2b", "mistral"], patterns=["summarize"])
    after = spec(models=["mistral", "llama3.2"], connections=[connection])
    described = change(before, after)
    assert described is not None
    assert described.fields == ("spec.connections", "spec.models", "spec.patterns")
    assert described.added == ("llama3.2", "example")
    assert described.removed == ("gemma2:2b", "summarize")


def test_other_values_are_in_no_part_of_it() -> None:
    before = spec(displayName="before", access={"adminSecretName": "old"})
    after = spec(displayName=PASSWORD, access={"adminSecretName": PASSWORD}, costCentre=PASSWORD)
    described = change(before, after)
    assert described is not None
    assert described.fields == (
        "spec.access.adminSecretName",
        "spec.costCentre",
        "spec.displayName",
    )
    assert PASSWORD not in repr(described)


@pytest.mark.parametrize(
    "after",
    [
        spec(),
        spec(models=[], suspended=False),
        spec(restart={}),
        spec(deletionPolicy="Delete"),
    ],
)
def test_a_default_that_is_written_is_no_change(after: dict[str, Any]) -> None:
    assert change(spec(), after) is None


def test_specs_that_the_models_reject_are_compared_as_they_are() -> None:
    described = change({"workspaceName": "Not Valid"}, {"workspaceName": "team-a", "models": ["m"]})
    assert described is not None
    assert described.fields == ("spec.models", "spec.workspaceName")


@pytest.mark.parametrize(
    ("before", "after", "added", "removed"),
    [
        ({}, {"models": ["gemma2:2b", "mistral", "llama3.2"]}, ("llama3.2",), ()),
        ({}, {"models": ["mistral"]}, (), ("gemma2:2b",)),
        ({"models": ["gemma2:2b"]}, {}, ("mistral",), ()),
        ({}, {"className": "large"}, ("llama3.2:70b",), ("gemma2:2b",)),
        ({}, {"models": ["gemma2:2b", "mistral"]}, (), ()),
    ],
)
def test_models_of_the_size_class_come_and_go_as_own_ones_do(
    before: dict[str, Any],
    after: dict[str, Any],
    added: tuple[str, ...],
    removed: tuple[str, ...],
) -> None:
    described = change(spec(className="small", **before), spec(**{"className": "small", **after}))
    assert described is not None
    assert (described.added, described.removed) == (added, removed)
    assert described.fields == ("spec.className" if "className" in after else "spec.models",)
