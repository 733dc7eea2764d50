"""Which workspaces may change their pods now."""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.decisions import Provision
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.rollout import (
    DEFAULT_ORDER,
    GRANTED,
    STAGES,
    Place,
    Refusal,
    Rollout,
    RolloutBoard,
    RolloutSlot,
    Stage,
)
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.platform_spec import Upgrades
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import (
    WORKLOAD_CONDITIONS,
    ConditionStatus,
    ConditionType,
    WorkspaceStatus,
)
from aichat_workspace.foundation.metadata import annotations, labels
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.observed.caches import Caches

_WAITING_REASONS: Final = frozenset(
    {Reason.UPGRADE_WAITING, Reason.UPGRADE_STOPPED, Reason.UPGRADE_PAUSED}
)


@dataclass(slots=True)
class Rollouts:
    """Keeps the board of rollouts: each reconcile takes in its own workspace. `enqueue` brings one
    back; only those that get a slot come back."""

    caches: Caches
    enqueue: Callable[[str], None]
    board: RolloutBoard = field(default_factory=RolloutBoard)
    ended_turns: int = 0
    """For the metric: turns that were over or given on since the start."""
    _salt: str = ""

    def rebuild(self) -> None:
        """Look at all workspaces before the next turn begins: at the start, and when the platform's
        settings change."""
        text = f"{version(names.OPERATOR)} {self.caches.settings.spec().model_dump_json()}"
        self._salt = hashlib.sha256(text.encode()).hexdigest()
        workspaces = self.caches.workspace_names()
        self.board.begin(workspaces)
        for name in workspaces:
            self.enqueue(name)
        self.board.changed = _changed_since_the_start(self.caches.workspaces.all())

    def see(self, name: str) -> None:
        """A reconcile of the workspace begins: it takes its place on the board."""
        self.board.see(name)

    def slot(self, workspace: Workspace) -> RolloutSlot:
        """Whether the workspace may change its pods now."""
        resource = self.caches.workspaces.get(workspace.namespace, workspace.name)
        if resource is None:
            return GRANTED
        if annotations(resource).get(names.UPGRADES_ANNOTATION) == names.SKIPPED:
            return RolloutSlot(Refusal.SKIPPED)
        place = self._place(workspace, workspace.status)
        return self.board.slot(place, self._upgrades, is_paused=self.is_paused)

    def put(self, name: str, rollout: Rollout | None, *, is_settled: bool = False) -> None:
        """Record a workspace's rollout, or that it has none.

        `is_settled` says that what kept it from taking its slot has just been written.
        """
        before = self.board.stage(name)
        self.board.put(name, rollout)
        if before is Stage.CHANGING and (rollout is None or rollout.stage is not Stage.CHANGING):
            self.ended_turns += 1
        if is_settled:
            self.board.withdraw_offer(name)

    def offer(self) -> None:
        """Bring back the workspaces that get a slot."""
        for candidate in self.board.take_offers(self._upgrades, is_paused=self.is_paused):
            self.enqueue(candidate)

    def decided(self, decision: Provision) -> Rollout | None:
        """The rollout as it is once the decision's writes are made."""
        pods, workspace = decision.pods, decision.workspace
        if not pods.takes_part:
            return None
        place = self._place(workspace, workspace.status)
        if pods.begins_turn:
            return Rollout(place, Stage.CHANGING)
        return Rollout(place, _stage(decision, workspace.status, bool(pods.refusal)))

    def reported(
        self, decision: Provision, status: WorkspaceStatus, observed: Observed
    ) -> Rollout | None:
        """The rollout as its new status says."""
        if not decision.pods.takes_part:
            return None
        is_outdated = decision.pods.is_outdated(observed, status)
        place = self._place(decision.workspace, status)
        return Rollout(place, _stage(decision, status, is_outdated))

    @property
    def is_paused(self) -> bool:
        """Whether the platform team has stopped all upgrades."""
        return self.caches.settings.in_force.is_upgrade_paused

    @property
    def is_stopped(self) -> bool:
        """Whether no turn begins, because too many workspaces failed."""
        return self.board.is_stopped(self._upgrades)

    @property
    def _upgrades(self) -> Upgrades:
        return self.caches.settings.spec().upgrades

    def _place(self, workspace: Workspace, status: WorkspaceStatus) -> Place:
        conditions = filter(None, map(status.condition, WORKLOAD_CONDITIONS))
        return Place(
            workspace.spec.workspace_name,
            healthy=all(condition.status is ConditionStatus.TRUE for condition in conditions),
            order=self._order(workspace),
            salt=self._salt,
        )

    def _order(self, workspace: Workspace) -> int:
        """What the label of the workspace says, else its team namespace's."""
        resource = self.caches.workspaces.get(workspace.namespace, workspace.name)
        namespace = self.caches.namespaces.get("", workspace.namespace)
        for obj in filter(None, (resource, namespace)):
            with suppress(ValueError):
                return int(labels(obj).get(names.UPGRADE_ORDER_LABEL, ""))
        return DEFAULT_ORDER


def _stage(decision: Provision, status: WorkspaceStatus, is_outdated: bool) -> Stage:
    turn = status.rollout.turn if status.rollout else None
    if decision.pods.is_skipped:
        return Stage.SKIPPED
    if turn is not None:
        return STAGES[turn.state]
    return Stage.WAITING if is_outdated else Stage.DONE


def _changed_since_the_start(workspaces: Iterable[Json]) -> int:
    """How many workspaces have changed since the first of those that wait began to."""
    waiting_since, changed_at = [], []
    for workspace in workspaces:
        status = workspace.get("status") or {}
        for condition in status.get("conditions", ()):
            is_waiting = condition.get("reason") in _WAITING_REASONS
            if condition["type"] == ConditionType.UP_TO_DATE and is_waiting:
                waiting_since.append(datetime.fromisoformat(condition["lastTransitionTime"]))
        if changed := (status.get("rollout") or {}).get("changedAt"):
            changed_at.append(datetime.fromisoformat(changed))
    begun = min(waiting_since, default=None)
    return 0 if begun is None else sum(moment >= begun for moment in changed_at)
