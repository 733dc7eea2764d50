"""Which workspaces may change to the platform's images now."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aichat_workspace.domain.planning.image_rollout import (
    GRANTED,
    ImagePair,
    Rollout,
    RolloutBoard,
    RolloutSlot,
    running_images,
    workloads,
)
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import (
    WORKLOAD_CONDITIONS,
    ConditionStatus,
    ConditionType,
    Phase,
)
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.caches import Caches

_REASONS_OF_IMAGES: Final = frozenset(
    {"ImagePullFailed", "CrashLoop", "ContainerNotStarted", "NotReadyInTime", "PodRefused"}
)
_REJECTED: Final = "WriteRefused"


@dataclass(frozen=True, slots=True)
class ImageRollouts:
    """Keeps the board of rollouts: each reconcile takes in its own workspace. `enqueue` brings one
    back."""

    caches: Caches
    enqueue: Callable[[str], None]
    board: RolloutBoard = field(default_factory=RolloutBoard)

    def rebuild(self) -> None:
        """Take in all workspaces: at the start, and when the platform's settings change."""
        for name in self.caches.workspace_names():
            self._put(name)

    def update(self, name: str) -> None:
        """Take in one workspace, and bring back those that get a slot by its change.

        All that wait come back when a rollout stops, goes on, or waits for another workspace: their
        status says so.
        """
        blocked_by = self.board.blocked_by
        if not self._put(name):
            return
        if self.board.blocked_by != blocked_by:
            candidates = self.board.waiting
        else:
            candidates = self.board.next(self._concurrent)
        for candidate in candidates:
            self.enqueue(candidate)

    def slot(self, workspace: Workspace) -> RolloutSlot:
        """Whether the workspace may change its images now."""
        resource = self.caches.workspaces.get(workspace.namespace, workspace.name)
        if resource is None or workspace.spec.suspended:
            return GRANTED
        return self.board.slot(self._rollout(resource), self._concurrent)

    @property
    def _concurrent(self) -> int:
        return self.caches.settings().upgrades.concurrent

    def _put(self, name: str) -> bool:
        resources = filter(_can_change, self.caches.workspaces.by_index(name))
        resource = next(resources, None)
        return self.board.put(name, None if resource is None else self._rollout(resource))

    def _rollout(self, workspace: Json) -> Rollout:
        """A workspace whose workload is missing is about to run what it ran."""
        name, last_working = workspace["spec"]["workspaceName"], _last_working(workspace)
        conditions = _conditions(workspace)
        return Rollout(
            name=name,
            running=self._running(name) or last_working,
            last_working=last_working,
            target=self.caches.settings().images.resolved,
            failing=_fails_by_image(conditions),
            rejected=_is_rejected(conditions),
            healthy=_is_healthy(conditions),
        )

    def _running(self, name: str) -> ImagePair | None:
        objects = {
            ref: manifest
            for ref in workloads(name)
            if (manifest := self.caches.tenants[ref.kind].get(name, ref.name)) is not None
        }
        return running_images(Observed(objects=objects))


def _last_working(workspace: Json) -> ImagePair | None:
    record = (workspace.get("status") or {}).get("images")
    return (record["ollama"], record["openWebUI"]) if record else None


def _conditions(workspace: Json) -> dict[str, Json]:
    conditions = (workspace.get("status") or {}).get("conditions", ())
    return {condition["type"]: condition for condition in conditions}


def _fails_by_image(conditions: dict[str, Json]) -> bool:
    """Whether a workload does not run for a reason that its image can have; a full node or a lost
    volume is no reason to stop the others."""
    return any(condition["reason"] in _REASONS_OF_IMAGES for condition in conditions.values())


def _is_rejected(conditions: dict[str, Json]) -> bool:
    """Whether the API server does not take a workload with the platform's images."""
    condition = conditions.get(ConditionType.UP_TO_DATE)
    return condition is not None and condition["reason"] == _REJECTED


def _is_healthy(conditions: dict[str, Json]) -> bool:
    known = (conditions[kind] for kind in WORKLOAD_CONDITIONS if kind in conditions)
    return all(condition["status"] == ConditionStatus.TRUE for condition in known)


def _can_change(workspace: Json) -> bool:
    """A workspace that is suspended, on its way out or not provisioned would hold a slot for
    ever."""
    conditions = _conditions(workspace)
    provisioned = conditions.get(ConditionType.PROVISIONED)
    is_provisioned = provisioned is not None and provisioned["status"] == ConditionStatus.TRUE
    return (
        (is_provisioned or _is_rejected(conditions))
        and "deletionTimestamp" not in workspace["metadata"]
        and not workspace["spec"].get("suspended")
        and not _is_stopped(workspace)
    )


def _is_stopped(workspace: Json) -> bool:
    """Whether it runs nothing, as one whose time is over."""
    phase: str = (workspace.get("status") or {}).get("phase", "")
    return phase == Phase.SUSPENDED
