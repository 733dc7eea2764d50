from dataclasses import replace
from typing import Any

from aichat_workspace.domain.diagnosis import Diagnosis
from aichat_workspace.domain.status import Facts, status
from aichat_workspace.domain.workspace import Workspace, WorkspaceStatus
from aichat_workspace.operator.events import transition
from tests.unit.domain.samples import NOW, workspace


def told(facts: Facts, before: Workspace | None = None) -> WorkspaceStatus:
    return status(before or workspace(), facts, NOW)


def after(found: WorkspaceStatus) -> Workspace:
    return workspace(status=found.model_dump(mode="json", by_alias=True, exclude_none=True))


BROKEN = Facts(url="u", failure=Diagnosis("WriteRefused", "the quota is full"))


def test_another_phase_is_told_with_the_message_of_ready() -> None:
    event: Any = transition(workspace(), told(BROKEN), NOW)
    assert (event["type"], event["reason"]) == ("Warning", "WriteRefused")
    assert event["note"] == "the quota is full"
    assert event["regarding"]["uid"] == "uid-a"
    assert event["metadata"]["namespace"] == workspace().namespace


def test_what_has_not_moved_is_not_told_again() -> None:
    before = after(told(BROKEN))
    assert transition(before, told(BROKEN, before), NOW) is None


def test_a_new_reason_is_told_where_somebody_has_to_act() -> None:
    before = after(told(BROKEN))
    other = replace(BROKEN, failure=Diagnosis("CeilingExceeded", "too much"))
    event: Any = transition(before, told(other, before), NOW)
    assert event["reason"] == "CeilingExceeded"


def test_a_step_on_the_way_is_no_event() -> None:
    before = after(told(Facts(url="u")))
    assert transition(before, told(Facts(url="v"), before), NOW) is None
