from typing import Any

import pytest
from pydantic import ValidationError

from aichat_workspace.domain.names import REFRESH_MODELS_ANNOTATION as REFRESH
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import DeletionPolicy
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from tests.unit.domain.samples import workspace

BAD_KEY: dict[str, Any] = {"nodeSelector": {"not a key": "x"}}


def test_a_field_that_is_not_understood_is_named_and_the_others_are_read() -> None:
    parsed = workspace(scheduling=BAD_KEY, suspended=True)
    assert parsed.not_understood[0].startswith("scheduling.nodeSelector.not a key")
    assert parsed.spec.suspended
    assert parsed.spec.scheduling.node_selector == {}


def test_a_valid_spec_is_understood_as_a_whole() -> None:
    assert workspace().not_understood == ()


def test_a_deletion_policy_that_is_not_understood_deletes_no_data() -> None:
    assert workspace(deletionPolicy="Archive").spec.deletion_policy is DeletionPolicy.RETAIN


def test_a_status_is_read_without_the_field_that_is_not_understood() -> None:
    namespace = {"name": "team-a-aichat", "uid": "ns-1"}
    parsed = workspace(status={"phase": "Dreaming", "namespace": namespace})
    assert parsed.status.phase is Phase.PENDING
    assert parsed.status.namespace is not None
    assert parsed.not_understood == ()


def test_an_entry_of_another_operators_status_takes_no_other_entry_with_it() -> None:
    """Without its record the operator would never remove a model that it has downloaded."""
    moment = {"lastTransitionTime": "2026-11-23T11:00:00Z", "observedGeneration": 1}
    texts = {"status": "True", "reason": "Any", "message": "", **moment}
    conditions = [{"type": "OfAnotherVersion", **texts}, {"type": "Ready", **texts}]
    models = [
        {"name": "gemma2:2b", "state": "Verifying", "managed": True},
        {"name": "qwen3:1b", "state": "Ready", "managed": True},
    ]
    status = workspace(status={"conditions": conditions, "models": models}).status
    assert [condition.type for condition in status.conditions] == ["Ready"]
    assert [(model.state, model.managed) for model in status.models] == [
        ("Pending", True),
        ("Ready", True),
    ]


def test_a_turn_of_another_operator_keeps_what_is_known_of_it() -> None:
    """Others wait for it until its end at the latest, and its state is looked at again."""
    turn = {
        "state": "Rewinding",
        "target": "abc",
        "until": "2026-11-30T12:00:00Z",
        "generation": 3,
        "wasAvailable": True,
    }
    rollout = {"generation": 4, "changedAt": "2026-11-29T12:00:00Z", "turn": turn}
    record = workspace(status={"rollout": rollout}).status.rollout
    assert record is not None
    assert record.turn is not None
    assert (record.generation, record.turn.target, record.turn.generation) == (4, "abc", 3)
    assert record.turn.state == "Changing"


def test_an_invalid_workspace_name_is_refused() -> None:
    with pytest.raises(ValidationError):
        workspace("Not A Name")


@pytest.mark.parametrize(("annotations", "text"), [({}, ""), ({REFRESH: "x" * 99}, "x" * 64)])
def test_a_request_for_a_refresh_is_read_as_far_as_the_status_can_have_it(
    annotations: dict[str, str], text: str
) -> None:
    manifest: dict[str, Any] = {
        "metadata": {
            "namespace": "team-a",
            "name": "a",
            "uid": "1",
            "creationTimestamp": "2026-11-23T11:00:00Z",
            "annotations": annotations,
        },
        "spec": {"workspaceName": "team-a-aichat"},
    }
    assert Workspace.parse(manifest).refresh_models == text
