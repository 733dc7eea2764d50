"""Whose turn it is when the platform's images change."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.manifest import Ref
from aichat_workspace.domain.plan import Observed
from aichat_workspace.domain.platform import Images, PlatformSpec
from aichat_workspace.domain.status import running_images
from aichat_workspace.domain.upgrade import AT_ONCE, Rollout, Turn, turn
from aichat_workspace.domain.workspace import ConditionStatus, ConditionType, Workspace
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.caches import Caches

_BY_IMAGE: Final = frozenset(
    {"ImagePullFailed", "CrashLoop", "ContainerNotStarted", "NotReadyInTime"}
)


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Asks the caches only while there is a change under way. `enqueue` brings a workspace back;
    who is to be brought back is remembered, and nothing else: who may change is decided anew."""

    caches: Caches
    enqueue: Callable[[str], None]
    waiting: set[str] = field(default_factory=set)

    def turn(self, workspace: Workspace, platform: PlatformSpec) -> Turn:
        name = workspace.spec.workspace_name
        found = self._turn(workspace, platform)
        if found.now:
            self.waiting.discard(name)
        else:
            self.waiting.add(name)
        return found

    def _turn(self, workspace: Workspace, platform: PlatformSpec) -> Turn:
        mine = self._own(workspace, platform)
        if not mine.outdated or workspace.spec.suspended:
            return AT_ONCE
        return turn(mine, self._all(platform), platform.upgrades.concurrent)

    def _own(self, workspace: Workspace, platform: PlatformSpec) -> Rollout:
        """Of a workspace that asks. One whose workload is missing is about to run what it did."""
        name, record = workspace.spec.workspace_name, workspace.status.images
        proven = (record.ollama, record.open_webui) if record else None
        running = self._running(name) or proven
        return Rollout(name, running, proven, platform.images.resolved, failing=False)

    def is_proven(self, workspace: Json) -> bool:
        """Whether its workloads have been well with the images that they name."""
        return _proven(workspace) == self._running(workspace["spec"]["workspaceName"])

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
        outdated = (name for name in sorted(self.waiting) if self._waits(name, platform))
        for name in islice(outdated, None if everyone else platform.upgrades.concurrent):
            self.enqueue(name)

    def _waits(self, name: str, platform: PlatformSpec) -> bool:
        """Not one that was refused, stopped or deleted meanwhile: it would be asked for ever."""
        known = self.caches.workspaces.by_index(name)
        return self._running(name) != platform.images.resolved and any(map(_can_change, known))

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
        name = workspace["spec"]["workspaceName"]
        return Rollout(
            name=name,
            running=self._running(name),
            proven=_proven(workspace),
            target=platform.images.resolved,
            failing=_fails_by_image(workspace.get("status") or {}),
        )


def _proven(workspace: Json) -> tuple[str, str] | None:
    record = (workspace.get("status") or {}).get("images")
    return (record["ollama"], record["openWebUI"]) if record else None


def _fails_by_image(status: Json) -> bool:
    """Whether a workload does not run for a reason that its image can have; a full node or a lost
    volume is no reason to stop the others."""
    return any(each["reason"] in _BY_IMAGE for each in status.get("conditions", ()))


def _can_change(workspace: Json) -> bool:
    """One that is stopped, on its way out or not to be provisioned would hold a place for ever."""
    conditions = (workspace.get("status") or {}).get("conditions", ())
    provisioned = any(
        each["type"] == ConditionType.PROVISIONED and each["status"] == ConditionStatus.TRUE
        for each in conditions
    )
    deleting = "deletionTimestamp" in workspace["metadata"]
    return provisioned and not deleting and not workspace["spec"].get("suspended")
