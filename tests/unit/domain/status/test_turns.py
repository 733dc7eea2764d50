"""How a turn goes: it begins, is over, or is given on."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.planning.pod_change import NO_CHANGE, PodChange, PodTarget
from aichat_workspace.domain.planning.rollout import Refusal
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.turns import Progress, next_record, why_outdated
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import RolloutRecord, TurnState
from tests.unit.domain.samples import NOW, workspace

DEADLINE = timedelta(minutes=15)
PODS = PodChange({Ref("Deployment", "n", "d"): PodTarget("new", "i:2")}, takes_part=True)
BEGINS = replace(PODS, begins_turn=True)
IMAGES = {"ollama": "o:1", "openWebUI": "w:1"}
UNDER_WAY = Progress(PODS, is_outdated=False, works=False, problem=None, is_written=True)


def available(status: str = "True") -> list[dict[str, Any]]:
    return [
        {
            "type": kind,
            "status": status,
            "reason": Reason.AVAILABLE,
            "message": "",
            "lastTransitionTime": "2026-11-23T11:00:00Z",
            "observedGeneration": 1,
        }
        for kind in ("OllamaAvailable", "OpenWebUIAvailable")
    ]


def resource(record: RolloutRecord | None = None, **changes: Any) -> Workspace:
    status = {"images": IMAGES, "conditions": available(), "observedGeneration": 1}
    rollout = record.model_dump(mode="json", by_alias=True) if record else None
    return workspace(status={**status, "rollout": rollout, **changes.pop("status", {})}, **changes)


def begun(own: Workspace | None = None) -> RolloutRecord:
    progress = replace(UNDER_WAY, pods=BEGINS, is_outdated=True, is_written=False)
    record = next_record(own or resource(), progress, DEADLINE, NOW)
    assert record is not None
    return record


def state(record: RolloutRecord | None) -> TurnState | None:
    return record.turn.state if record and record.turn else None


def test_a_turn_is_recorded_before_anything_is_written() -> None:
    record = begun()
    assert record.turn is not None
    assert record.turn.state is TurnState.CHANGING
    assert record.turn.until == NOW + DEADLINE
    assert record.turn.was_available
    assert record.generation == 1


def test_it_is_over_when_both_workloads_work_with_what_was_applied() -> None:
    own = resource(begun())
    for progress in (
        replace(UNDER_WAY, works=True, is_outdated=True),
        replace(UNDER_WAY, works=True, is_written=False),
        UNDER_WAY,
    ):
        assert state(next_record(own, progress, DEADLINE, NOW)) is TurnState.CHANGING
    record = next_record(own, replace(UNDER_WAY, works=True), DEADLINE, NOW)
    assert record == RolloutRecord(generation=1, spec=own.spec_digest, changed_at=NOW)


@pytest.mark.parametrize(
    ("reason", "minutes", "ends"),
    [
        (Reason.CRASH_LOOP, 1, TurnState.FAILED),
        (Reason.IMAGE_PULL_FAILED, 1, TurnState.FAILED),
        (Reason.WRITE_REFUSED, 1, TurnState.FAILED),
        (Reason.UNSCHEDULABLE, 1, TurnState.CHANGING),
        (Reason.UNSCHEDULABLE, 15, TurnState.FAILED),
        (None, 14, TurnState.CHANGING),
        (None, 15, TurnState.FAILED),
        (Reason.VOLUME_LOST, 15, TurnState.STUCK),
        (Reason.POD_NOT_ENDING, 15, TurnState.STUCK),
    ],
)
def test_a_turn_is_given_on(reason: Reason | None, minutes: int, ends: TurnState) -> None:
    progress = replace(UNDER_WAY, problem=Problem(reason, "m") if reason else None)
    now = NOW + timedelta(minutes=minutes)
    assert state(next_record(resource(begun()), progress, DEADLINE, now)) is ends


CRASH = replace(UNDER_WAY, problem=Problem(Reason.CRASH_LOOP, "m"))


def test_an_edit_in_its_turn_makes_the_failure_its_own() -> None:
    edited = resource(begun(), metadata={"generation": 2}, models=["llama3.2:1b"])
    assert state(next_record(edited, CRASH, DEADLINE, NOW)) is TurnState.STUCK


def test_an_edit_of_what_it_only_tells_people_does_not() -> None:
    edited = resource(begun(), metadata={"generation": 2}, description="for all", costCentre="1")
    assert state(next_record(edited, CRASH, DEADLINE, NOW)) is TurnState.FAILED


def test_an_edit_after_the_failure_does_not() -> None:
    failed = next_record(resource(begun()), CRASH, DEADLINE, NOW)
    edited = resource(failed, metadata={"generation": 2})
    assert state(next_record(edited, CRASH, DEADLINE, NOW)) is TurnState.FAILED


def test_a_workspace_that_was_unavailable_proves_nothing_but_by_a_refusal() -> None:
    record = begun(resource(status={"conditions": available("False")}))
    own = resource(record)
    assert state(next_record(own, CRASH, DEADLINE, NOW)) is TurnState.STUCK
    refused = replace(UNDER_WAY, problem=Problem(Reason.WRITE_REFUSED, "m"))
    assert state(next_record(own, refused, DEADLINE, NOW)) is TurnState.FAILED


def test_a_new_target_gives_a_turn_its_full_time_and_an_edit_does_not() -> None:
    own = resource(next_record(resource(begun()), CRASH, DEADLINE, NOW))
    other = {Ref("Deployment", "n", "d"): PodTarget("newer", "i:3")}
    later = NOW + timedelta(minutes=5)
    again = next_record(
        own, replace(UNDER_WAY, pods=replace(BEGINS, targets=other)), DEADLINE, later
    )
    assert again is not None
    assert again.turn is not None
    assert (again.turn.state, again.turn.until) == (TurnState.CHANGING, later + DEADLINE)
    edited = next_record(
        own, replace(UNDER_WAY, pods=replace(PODS, targets=other)), DEADLINE, later
    )
    assert edited is not None
    assert edited.turn is not None
    assert edited.turn.until == NOW + DEADLINE
    assert edited.turn.target == again.turn.target


@pytest.mark.parametrize(
    "own",
    [resource(begun(), suspended=True), resource(begun(), status={"images": None})],
    ids=["suspended", "never worked"],
)
def test_a_workspace_that_serves_nobody_has_no_turn(own: Workspace) -> None:
    assert state(next_record(own, UNDER_WAY, DEADLINE, NOW)) is None


def test_a_skipped_workspace_has_no_turn() -> None:
    progress = replace(UNDER_WAY, pods=replace(PODS, is_skipped=True))
    assert state(next_record(resource(begun()), progress, DEADLINE, NOW)) is None


def test_the_generation_moves_only_when_all_was_written() -> None:
    own = resource(metadata={"generation": 2})
    failed = next_record(own, replace(UNDER_WAY, is_written=False), DEADLINE, NOW)
    written = next_record(own, UNDER_WAY, DEADLINE, NOW)
    assert failed is not None
    assert written is not None
    assert (failed.generation, written.generation) == (1, 2)
    nothing = replace(UNDER_WAY, pods=NO_CHANGE)
    assert next_record(resource(begun()), nothing, DEADLINE, NOW) == begun()


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refusal.WAITING, Reason.UPGRADE_WAITING),
        (Refusal.STOPPED, Reason.UPGRADE_STOPPED),
        (Refusal.PAUSED, Reason.UPGRADE_PAUSED),
        (Refusal.SKIPPED, Reason.UPGRADE_SKIPPED),
    ],
)
def test_who_waits_says_why(refusal: Refusal, reason: str) -> None:
    pods = replace(PODS, refusal=refusal, blocked_by=("a", "b"))
    problem = why_outdated(None, replace(UNDER_WAY, pods=pods, is_outdated=True))
    assert problem is not None
    assert problem.reason == reason
    assert ("'a', 'b'" in problem.message) == (refusal in (Refusal.WAITING, Refusal.STOPPED))


def test_who_is_in_its_turn_says_how_it_goes() -> None:
    record = begun()
    changing = why_outdated(record.turn, UNDER_WAY)
    failed = next_record(resource(record), CRASH, DEADLINE, NOW)
    assert failed is not None
    why = why_outdated(
        failed.turn, replace(CRASH, problem=Problem(Reason.CRASH_LOOP, "it crashes"))
    )
    assert changing is not None
    assert why is not None
    assert (changing.reason, why.reason) == (Reason.UPGRADING, Reason.UPGRADE_FAILED)
    assert "12:15:00 UTC" in changing.message
    assert "it crashes" in why.message
    assert why_outdated(None, UNDER_WAY) is None
