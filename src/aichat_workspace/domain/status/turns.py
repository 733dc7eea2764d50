"""How a workspace's turn in an upgrade goes: it begins, is over, or is given on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.planning.pod_change import PodChange
from aichat_workspace.domain.planning.rollout import Refusal
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import (
    WORKLOAD_CONDITIONS,
    ConditionStatus,
    RolloutRecord,
    TurnRecord,
    TurnState,
)

_REFUSED: Final = Reason.WRITE_REFUSED
# What these name lasts until somebody has acted, so that the turn is given on at once.
_LASTING: Final = frozenset(
    {
        Reason.IMAGE_PULL_FAILED,
        Reason.CRASH_LOOP,
        Reason.CONTAINER_NOT_STARTED,
        Reason.NOT_READY_IN_TIME,
        Reason.POD_REFUSED,
        _REFUSED,
    }
)
# What no change of a pod template brings about.
_OWN: Final = frozenset({Reason.POD_NOT_ENDING, Reason.VOLUME_LOST, Reason.VOLUME_UNBOUND})


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of a change of pods."""

    pods: PodChange
    is_outdated: bool
    """A workload still has another pod template."""
    works: bool
    """Both workloads are available with the pod templates that they have."""
    problem: Problem | None
    """What keeps a workload from running, or the API server's refusal of it."""
    is_written: bool
    """All writes have succeeded."""
    is_stopped: bool = False
    """Its chat is stopped for its data, so that a turn would prove nothing."""


def next_record(
    workspace: Workspace, progress: Progress, deadline: timedelta, now: datetime
) -> RolloutRecord | None:
    """Return the record after these writes. `deadline` is for a turn that begins now."""
    record = workspace.status.rollout
    if not progress.pods.targets:
        return record
    generation = record.generation if record else workspace.status.observed_generation
    changed_at = record.changed_at if record else None
    turn = _turn(workspace, progress, deadline, now)
    if turn is not None and progress.is_written and progress.works and not progress.is_outdated:
        turn, changed_at = None, now
    return RolloutRecord(
        generation=workspace.generation if progress.is_written else generation,
        spec=workspace.spec_digest if progress.is_written else (record.spec if record else ""),
        changed_at=changed_at,
        turn=turn,
    )


def _turn(
    workspace: Workspace, progress: Progress, deadline: timedelta, now: datetime
) -> TurnRecord | None:
    pods, status = progress.pods, workspace.status
    turn = status.rollout.turn if status.rollout else None
    is_stopped = workspace.spec.suspended or progress.is_stopped or status.images is None
    if is_stopped or pods.is_skipped:
        return None
    if pods.begins_turn:
        turn = TurnRecord(
            state=TurnState.CHANGING,
            target=pods.digest,
            until=now + deadline,
            generation=turn.generation if turn else workspace.generation,
            spec=turn.spec if turn else workspace.spec_digest,
            was_available=turn.was_available if turn else _is_available(workspace),
        )
    if turn is None:
        return None
    state = _state(workspace, turn, progress, now)
    return turn.model_copy(update={"target": pods.digest, "state": state})


def _state(workspace: Workspace, turn: TurnRecord, progress: Progress, now: datetime) -> TurnState:
    reason = progress.problem.reason if progress.problem else ""
    if reason not in _LASTING and now < turn.until:
        return TurnState.CHANGING
    proves_something = turn.was_available or reason == _REFUSED
    is_edited = workspace.is_edited_since(turn.generation, turn.spec)
    may_be_the_change = proves_something and not is_edited and reason not in _OWN
    # What has failed before its spec was edited has not failed for that.
    has_failed = turn.state is TurnState.FAILED or may_be_the_change
    return TurnState.FAILED if has_failed else TurnState.STUCK


def _is_available(workspace: Workspace) -> bool:
    conditions = map(workspace.status.condition, WORKLOAD_CONDITIONS)
    return all(
        condition is not None and condition.status is ConditionStatus.TRUE
        for condition in conditions
    )


def why_outdated(turn: TurnRecord | None, progress: Progress) -> Problem | None:
    """Return why the pods are not as the platform's settings are now; None where they are."""
    if turn is not None:
        return _why_in_turn(turn, progress)
    if not progress.is_outdated:
        return None
    is_refused_a_slot = progress.pods.refusal is not None and progress.pods.takes_part
    if progress.problem is not None and not is_refused_a_slot:
        return progress.problem
    return _why_refused(progress.pods)


def _why_in_turn(turn: TurnRecord, progress: Progress) -> Problem:
    if turn.state is TurnState.CHANGING:
        return Problem(
            Reason.UPGRADING,
            f"changes its pods, and others wait for it until {turn.until:%H:%M:%S} UTC at the "
            "longest",
        )
    cause = progress.problem.message if progress.problem else "its pods were not available in time"
    if turn.state is TurnState.FAILED:
        return Problem(
            Reason.UPGRADE_FAILED,
            f"does not run with what the platform changed: {cause}; correct what is wrong in the "
            "AIChatPlatform or here, and it goes on by itself",
        )
    return Problem(
        Reason.UPGRADE_STUCK,
        f"has given its turn on, for it does not run for a reason of its own: {cause}",
    )


def _why_refused(pods: PodChange) -> Problem:
    workspaces = ", ".join(f"'{name}'" for name in pods.blocked_by) or "others"
    match pods.refusal:
        case Refusal.STOPPED:
            return Problem(
                Reason.UPGRADE_STOPPED,
                f"keeps its pods, for {workspaces} failed with what the platform changed; see what "
                "they say, then correct spec of the AIChatPlatform, or raise "
                "spec.upgrades.maxFailures there",
            )
        case Refusal.PAUSED:
            return Problem(
                Reason.UPGRADE_PAUSED,
                "keeps its pods while upgrades are paused; to resume them, remove the annotation "
                f"{names.UPGRADES_ANNOTATION} of the AIChatPlatform",
            )
        case Refusal.SKIPPED:
            return Problem(
                Reason.UPGRADE_SKIPPED,
                "keeps its pods while it is left out of upgrades; to let it take part, remove its "
                f"annotation {names.UPGRADES_ANNOTATION}",
            )
        case _:
            return Problem(
                Reason.UPGRADE_WAITING,
                f"waits for its turn to change its pods; when it was last looked at, {workspaces} "
                "changed theirs",
            )
