"""Whose turn it is when the platform's images change."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.planning.image_rollout import (
    GRANTED,
    Rollout,
    RolloutSlot,
    by_readiness,
    grant_slot,
)
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.status.status import running_images
from aichat_workspace.domain.v1alpha1.platform_spec import Images, PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import (
    WORKLOAD_CONDITIONS,
    ConditionStatus,
    ConditionType,
)
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.caches import Caches

_BY_IMAGE: Final = frozenset(
    {"ImagePullFailed", "CrashLoop", "ContainerNotStarted", "NotReadyInTime", "PodRefused"}
)
_REFUSED: Final = "WriteRefused"


@dataclass(frozen=True, slots=True)
class ImageRollouts:
    """Asks the caches only while there is a change under way. `enqueue` brings a workspace back;
    who is to be brought back is remembered, and nothing else: who may change is decided anew."""

    caches: Caches
    enqueue: Callable[[str], None]
    waiting: set[str] = field(default_factory=set)

    def turn(self, workspace: Workspace, platform: PlatformSpec) -> RolloutSlot:
        name = workspace.spec.workspace_name
        found = self._turn(workspace, platform)
        if found.now:
            self.waiting.discard(name)
        else:
            self.waiting.add(name)
        return found

    def _turn(self, workspace: Workspace, platform: PlatformSpec) -> RolloutSlot:
        found = self.caches.workspaces.get(workspace.namespace, workspace.name)
        if found is None or workspace.spec.suspended:
            return GRANTED
        mine = self._rollout(found, platform)
        if not mine.outdated:
            return GRANTED
        return grant_slot(mine, self._all(platform), platform.upgrades.concurrent)

    def is_proven(self, workspace: Json) -> bool:
        """Whether its workloads, if there are any, have been well with the images that they
        name."""
        running = self._running(workspace["spec"]["workspaceName"])
        return running in (None, _proven(workspace))

    def kept(self, workspace: Workspace, platform: PlatformSpec) -> Images:
        """The images to keep while others change: the proven ones, whatever somebody has put
        there, and what the workloads name where none are proven yet."""
        proven = workspace.status.images
        if proven is not None:
            now: tuple[str, str] | None = (proven.ollama, proven.open_webui)
        else:
            now = self._running(workspace.spec.workspace_name)
        if now is None:
            return platform.images
        return Images.model_construct(mirror="", ollama=now[0], open_webui=now[1])

    def forget(self, name: str) -> None:
        """The workspace is gone, and with it what it may have held up."""
        self.waiting.discard(name)
        self.moved(everyone=True)

    def moved(self, *, everyone: bool) -> None:
        """A workspace has changed its images, or failed to: as many as may change at a time are
        next. `everyone` who waits is told when an upgrade stops or goes on."""
        if not self.waiting:
            return
        platform = self.caches.settings()
        # Not one that was refused, stopped or deleted meanwhile: it would be asked for ever.
        waiting = [
            self._rollout(each, platform)
            for name in self.waiting
            for each in self.caches.workspaces.by_index(name)
            if _can_change(each)
        ]
        for name in by_readiness(waiting)[: None if everyone else platform.upgrades.concurrent]:
            self.enqueue(name)

    def _running(self, name: str) -> tuple[str, str] | None:
        sought = (("StatefulSet", names.ollama(name)), ("Deployment", names.openwebui(name)))
        found = {
            Ref(kind, name, workload): held
            for kind, workload in sought
            if (held := self.caches.tenants[kind].get(name, workload)) is not None
        }
        return running_images(Observed(objects=found))

    def _all(self, platform: PlatformSpec) -> Iterator[Rollout]:
        for each in self.caches.workspaces.all():
            if _can_change(each):
                yield self._rollout(each, platform)

    def _rollout(self, workspace: Json, platform: PlatformSpec) -> Rollout:
        """One whose workload is missing is about to run what it did."""
        name, proven = workspace["spec"]["workspaceName"], _proven(workspace)
        conditions = _conditions(workspace)
        return Rollout(
            name=name,
            running=self._running(name) or proven,
            last_working=proven,
            target=platform.images.resolved,
            failing=_fails_by_image(conditions),
            refused=_is_refused(conditions),
            healthy=_is_well(conditions),
        )


def _proven(workspace: Json) -> tuple[str, str] | None:
    record = (workspace.get("status") or {}).get("images")
    return (record["ollama"], record["openWebUI"]) if record else None


def _conditions(workspace: Json) -> dict[str, Json]:
    conditions = (workspace.get("status") or {}).get("conditions", ())
    return {each["type"]: each for each in conditions}


def _fails_by_image(conditions: dict[str, Json]) -> bool:
    """Whether a workload does not run for a reason that its image can have; a full node or a lost
    volume is no reason to stop the others."""
    return any(each["reason"] in _BY_IMAGE for each in conditions.values())


def _is_refused(conditions: dict[str, Json]) -> bool:
    """Whether the API server does not take a workload with the platform's images."""
    found = conditions.get(ConditionType.UP_TO_DATE)
    return found is not None and found["reason"] == _REFUSED


def _is_well(conditions: dict[str, Json]) -> bool:
    known = (conditions[kind] for kind in WORKLOAD_CONDITIONS if kind in conditions)
    return all(each["status"] == ConditionStatus.TRUE for each in known)


def _can_change(workspace: Json) -> bool:
    """One that is stopped, on its way out or not to be provisioned would hold a place for ever."""
    conditions = _conditions(workspace)
    found = conditions.get(ConditionType.PROVISIONED)
    provisioned = found is not None and found["status"] == ConditionStatus.TRUE
    deleting = "deletionTimestamp" in workspace["metadata"]
    return (
        (provisioned or _is_refused(conditions))
        and not deleting
        and not workspace["spec"].get("suspended")
    )
