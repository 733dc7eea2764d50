"""Changed images reach workspaces a few at a time, and no further when one of them fails."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.render.context import OLLAMA, OPENWEBUI
from aichat_workspace.domain.v1alpha1.platform_spec import Images, PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus

ImagePair = tuple[str, str]
"""Of the model server and of the chat front-end."""

CONTAINERS: Final = {"StatefulSet": OLLAMA, "Deployment": OPENWEBUI}
"""The container of each workload that runs one of the images."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where one workspace is on its way to the platform's images."""

    name: str
    running: ImagePair | None
    """The images that its workloads name; None before there are any."""
    last_working: ImagePair | None
    """The images with which both workloads were last available."""
    target: ImagePair
    failing: bool
    """A workload does not run, for a reason that an image can have."""
    rejected: bool = False
    """The API server does not take the workload with the target."""
    healthy: bool = True
    """No workload is known to be unavailable."""

    @property
    def is_outdated(self) -> bool:
        return self.running is not None and self.running != self.target

    @property
    def is_changing(self) -> bool:
        """On the way to the target, from other images."""
        return self.running == self.target and self.last_working not in (None, self.target)

    @property
    def stops_others(self) -> bool:
        return self.is_outdated if self.rejected else self.is_changing and self.failing

    @property
    def place(self) -> tuple[bool, str]:
        """The order of slots: unhealthy workspaces come last, because they prove nothing of an
        image and would hold up all others."""
        return not self.healthy, self.name


@dataclass(frozen=True, slots=True)
class RolloutSlot:
    """Whether a workspace may change its images now."""

    granted: bool
    blocked_by: str = ""
    """A workspace that fails with the new images."""


GRANTED: Final = RolloutSlot(granted=True)


class RolloutBoard:
    """All rollouts of the fleet. Whether one may change is answered without going through them."""

    def __init__(self) -> None:
        self._rollouts: dict[str, Rollout] = {}
        self._changing: set[str] = set()
        self._stopping: set[str] = set()
        self._waiting: list[tuple[bool, str]] = []

    def put(self, name: str, rollout: Rollout | None) -> bool:
        """Record a workspace's rollout, or that it has none. Return whether that is news."""
        previous = self._rollouts.get(name)
        if previous == rollout:
            return False
        if previous is not None:
            self._remove(previous)
        if rollout is not None:
            self._add(rollout)
        return True

    @property
    def blocked_by(self) -> str:
        """The workspace that fails with the new images, so that no other may start; empty for
        none."""
        return min(self._stopping, default="")

    def slot(self, rollout: Rollout, concurrent: int) -> RolloutSlot:
        """Decide whether a workspace may change, `concurrent` of them at a time.

        A new workspace does not wait, nor one that was rejected: it has had its slot. The workspace
        need not be on the board, as after a problem that kept it off.
        """
        if not rollout.is_outdated or rollout.rejected:
            return GRANTED
        if self._stopping:
            return RolloutSlot(granted=False, blocked_by=self.blocked_by)
        ahead = bisect_left(self._waiting, rollout.place)
        return RolloutSlot(granted=ahead < self._free(concurrent))

    def next(self, concurrent: int) -> list[str]:
        """The workspaces that have a slot and have not changed yet."""
        return (
            [] if self._stopping else [name for _, name in self._waiting[: self._free(concurrent)]]
        )

    @property
    def waiting(self) -> Sequence[str]:
        """All workspaces that are to change, in the order of their slots."""
        return [name for _, name in self._waiting]

    def _free(self, concurrent: int) -> int:
        return max(concurrent - len(self._changing), 0)

    def _add(self, rollout: Rollout) -> None:
        self._rollouts[rollout.name] = rollout
        if rollout.is_changing:
            self._changing.add(rollout.name)
        if rollout.stops_others:
            self._stopping.add(rollout.name)
        if rollout.is_outdated:
            insort(self._waiting, rollout.place)

    def _remove(self, rollout: Rollout) -> None:
        del self._rollouts[rollout.name]
        self._changing.discard(rollout.name)
        self._stopping.discard(rollout.name)
        if rollout.is_outdated:
            del self._waiting[bisect_left(self._waiting, rollout.place)]


def workloads(workspace: str) -> tuple[Ref, Ref]:
    """The workspace's model server and chat front-end."""
    return (
        Ref("StatefulSet", workspace, names.ollama(workspace)),
        Ref("Deployment", workspace, names.openwebui(workspace)),
    )


def running_images(observed: Observed) -> ImagePair | None:
    """The images that the workloads name; None before both are there."""
    images = {
        ref.kind: str(container["image"])
        for ref, manifest in observed.objects.items()
        if ref.kind in CONTAINERS and ref in workloads(ref.namespace)
        for container in manifest["spec"]["template"]["spec"]["containers"]
        if container["name"] == CONTAINERS[ref.kind]
    }
    return (images["StatefulSet"], images["Deployment"]) if len(images) == 2 else None


def last_working_images(status: WorkspaceStatus) -> ImagePair | None:
    """The images with which both workloads were last available."""
    record = status.images
    return (record.ollama, record.open_webui) if record else None


def kept_images(workspace: Workspace, observed: Observed, platform: PlatformSpec) -> Images:
    """The images to keep while others change: the ones that last worked, whatever an edit put
    there, and the present ones of a workspace that never worked."""
    images = last_working_images(workspace.status) or running_images(observed)
    if images is None:
        return platform.images
    return Images.model_construct(mirror="", ollama=images[0], open_webui=images[1])
