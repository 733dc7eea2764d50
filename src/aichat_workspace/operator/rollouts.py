"""Whose turn it is when the platform's images change."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from aichat_workspace.domain.platform import Images, PlatformSpec
from aichat_workspace.domain.status import running_images
from aichat_workspace.domain.upgrade import AT_ONCE, Rollout, Turn, turn
from aichat_workspace.domain.workspace import ConditionStatus, ConditionType, Workspace
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.caches import Caches

_BY_IMAGE: Final = frozenset({"ImagePullFailed", "CrashLoop", "ContainerNotStarted"})


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Asks the caches only while there is a change under way. `enqueue` brings a workspace back."""

    caches: Caches
    enqueue: Callable[[str], None]

    def turn(self, workspace: Workspace, platform: PlatformSpec) -> Turn:
        name = workspace.spec.workspace_name
        now = running_images(self.caches.tenant(name))
        if now is None or now == platform.images.resolved or workspace.spec.suspended:
            return AT_ONCE
        return turn(name, self._all(platform), platform.upgrades.concurrent)

    def kept(self, workspace: Workspace, platform: PlatformSpec) -> Images:
        """The images to keep while others change: the proven ones, whatever somebody has put
        there, and what the workloads name where none are proven yet."""
        proven = workspace.status.images
        if proven is not None:
            now: tuple[str, str] | None = (proven.ollama, proven.open_webui)
        else:
            now = running_images(self.caches.tenant(workspace.spec.workspace_name))
        if now is None:
            return platform.images
        return Images.model_construct(mirror="", ollama=now[0], open_webui=now[1])

    def moved(self) -> None:
        """A workspace has changed its images, or failed to: others may be next, or must not be."""
        for each in self._all(self.caches.settings()):
            if each.outdated:
                self.enqueue(each.name)

    def _all(self, platform: PlatformSpec) -> Iterator[Rollout]:
        for each in self.caches.workspaces.all():
            if _can_change(each):
                yield self._rollout(each, platform)

    def _rollout(self, workspace: Json, platform: PlatformSpec) -> Rollout:
        name = workspace["spec"]["workspaceName"]
        told = workspace.get("status") or {}
        proven = told.get("images")
        return Rollout(
            name=name,
            running=running_images(self.caches.tenant(name)),
            proven=(proven["ollama"], proven["openWebUI"]) if proven else None,
            target=platform.images.resolved,
            failing=_fails_by_image(told),
        )


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
