from typing import Any

import pytest
from pydantic import ValidationError

from aichat_workspace.domain.v1alpha1.workspace_spec import DeletionPolicy
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from tests.unit.domain.samples import workspace

BAD_KEY: dict[str, Any] = {"nodeSelector": {"not a key": "x"}}


def test_a_field_that_is_not_understood_is_told_and_the_others_are_read() -> None:
    found = workspace(scheduling=BAD_KEY, suspended=True)
    assert found.not_understood[0].startswith("scheduling.nodeSelector.not a key")
    assert found.spec.suspended
    assert found.spec.scheduling.node_selector == {}


def test_what_is_understood_says_so() -> None:
    assert workspace().not_understood == ()


def test_a_deletion_policy_that_is_not_understood_deletes_no_data() -> None:
    assert workspace(deletionPolicy="Archive").spec.deletion_policy is DeletionPolicy.RETAIN


def test_a_status_that_is_not_understood_keeps_what_is() -> None:
    recorded = {"name": "team-a-aichat", "uid": "ns-1"}
    found = workspace(status={"phase": "Dreaming", "namespace": recorded})
    assert found.status.phase is Phase.PENDING
    assert found.status.namespace is not None
    assert found.not_understood == ()


def test_a_resource_without_a_name_to_work_under_is_refused() -> None:
    with pytest.raises(ValidationError):
        workspace("Not A Name")
