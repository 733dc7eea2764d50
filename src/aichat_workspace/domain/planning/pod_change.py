"""What becomes of a workspace's pods: they change now, in a turn of the platform, or later.

What the workspace's own spec or Secrets change goes at once. What the platform changed takes a turn
(domain/planning/rollout.py), and until then the workloads keep the pod template that they have.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.field_ownership import is_overridden
from aichat_workspace.domain.kubernetes.kinds import WORKLOAD_KINDS
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.rollout import Refusal, RolloutSlot
from aichat_workspace.domain.planning.secret_copies import own_copies
from aichat_workspace.domain.render.components import OLLAMA, OPENWEBUI
from aichat_workspace.domain.v1alpha1.platform_spec import Images, PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import MAX_RESTART_LENGTH, Restart
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus

ImagePair = tuple[str, str]
"""Of the model server and of the chat front-end."""

CONTAINERS: Final = {"StatefulSet": OLLAMA, "Deployment": OPENWEBUI}
"""The container of each workload that runs one of the images."""
_NO_OBJECT: Final[Manifest] = {"metadata": {}}


@dataclass(frozen=True, slots=True)
class PodTarget:
    """What a workload's pods are to be."""

    template: str
    """The digest of the pod template."""
    image: str


@dataclass(frozen=True, slots=True)
class PodChange:
    """What becomes of the pods of both workloads."""

    targets: Mapping[Ref, PodTarget] = field(default_factory=dict)
    """By workload, with the platform's settings as they are now."""
    takes_part: bool = False
    """It takes turns. A workspace whose pods do not run, or never worked, does not."""
    is_skipped: bool = False
    """People left it out of upgrades."""
    begins_turn: bool = False
    refusal: Refusal | None = None
    """Why the pods have to wait."""
    blocked_by: tuple[str, ...] = ()
    """Some of the workspaces that it waits for, or that failed."""
    keeps_images: bool = False
    """What is written now has the images that it had before."""
    frozen: frozenset[Ref] = frozenset()
    """Workloads whose pod template is not written now."""

    @property
    def digest(self) -> str:
        """The digest of both pod templates."""
        templates = (self.targets[workload].template for workload in sorted(self.targets))
        return hashlib.sha256(" ".join(templates).encode()).hexdigest()[:12]

    def is_outdated(self, observed: Observed, status: WorkspaceStatus) -> bool:
        """Whether a workload has another pod template."""
        return any(self.outdated(observed, status))

    def outdated(self, observed: Observed, status: WorkspaceStatus) -> frozenset[Ref]:
        """The workloads with another pod template. One that is missing has it when it last worked
        with another image."""
        last_working = dict(zip(CONTAINERS, last_working_images(status) or (), strict=False))
        outdated = set()
        for workload, target in self.targets.items():
            manifest = observed.objects.get(workload)
            if manifest is None:
                is_outdated = last_working.get(workload.kind, target.image) != target.image
            else:
                is_outdated = (
                    _annotation(manifest, names.POD_TEMPLATE_ANNOTATION) != target.template
                )
            if is_outdated:
                outdated.add(workload)
        return frozenset(outdated)


NO_CHANGE: Final = PodChange()


def plan_pods(
    workspace: Workspace,
    observed: Observed,
    desired: Sequence[Manifest],
    slot: RolloutSlot,
    *,
    has_problems: bool,
    is_stopped: bool = False,
) -> PodChange:
    """Decide what becomes of the pods.

    `desired` are the objects as the platform's settings are now, and `slot` whether it may change
    its pods if they are outdated. A workspace with a problem takes no turn, nor does one whose chat
    `is_stopped`.
    """
    status, is_skipped = workspace.status, slot.refusal is Refusal.SKIPPED
    targets = {
        ref(manifest): PodTarget(
            _annotation(manifest, names.POD_TEMPLATE_ANNOTATION),
            _annotation(manifest, names.IMAGE_ANNOTATION),
        )
        for manifest in desired
        if manifest["kind"] in WORKLOAD_KINDS
    }
    is_stopped = is_stopped or workspace.spec.suspended or status.images is None
    takes_part = not (has_problems or is_stopped)
    change = PodChange(targets, takes_part, is_skipped)
    turn = status.rollout.turn if status.rollout else None
    is_own = _is_own_change(workspace, observed, desired)
    if not has_problems and not is_skipped and (turn or not takes_part):
        # A turn follows each change of the platform: its pods are disturbed anyway.
        begins_turn = takes_part and turn is not None and turn.target != change.digest
        return replace(change, begins_turn=begins_turn and not is_own)
    outdated = change.outdated(observed, status)
    if not outdated:
        return change
    if takes_part and slot.granted and not is_own:
        return replace(change, begins_turn=True)
    return replace(
        change,
        refusal=slot.refusal or Refusal.WAITING,
        blocked_by=slot.blocked_by,
        keeps_images=True,
        frozen=frozenset() if is_own else _undisturbed(outdated, observed, desired),
    )


def _is_own_change(workspace: Workspace, observed: Observed, desired: Sequence[Manifest]) -> bool:
    """Whether the workspace's spec or its Secrets ask for other pods, too."""
    status = workspace.status
    record = status.rollout
    written = record.generation if record else status.observed_generation
    if workspace.is_edited_since(written, record.spec if record else ""):
        return True
    return any(
        own_copies(manifest) != own_copies({"kind": manifest["kind"], **current})
        for manifest in desired
        if manifest["kind"] in WORKLOAD_KINDS
        and (current := observed.objects.get(ref(manifest))) is not None
    )


def _undisturbed(
    outdated: frozenset[Ref], observed: Observed, desired: Sequence[Manifest]
) -> frozenset[Ref]:
    """Return the workloads that no one else has changed: the pods of the others change anyway."""
    return frozenset(
        ref(manifest)
        for manifest in desired
        if ref(manifest) in outdated
        and (current := observed.objects.get(ref(manifest))) is not None
        and not is_overridden(current, manifest)
    )


def workloads(workspace: str) -> tuple[Ref, Ref]:
    """The workspace's model server and chat front-end."""
    return (
        Ref("StatefulSet", workspace, names.ollama(workspace)),
        Ref("Deployment", workspace, names.openwebui(workspace)),
    )


def running_images(observed: Observed) -> ImagePair | None:
    """The images that were applied to the workloads; None before both are there."""
    images = {
        ref.kind: _image(manifest)
        for ref, manifest in observed.objects.items()
        if ref.kind in CONTAINERS and ref in workloads(ref.namespace)
    }
    return (images["StatefulSet"], images["Deployment"]) if len(images) == 2 else None


def last_working_images(status: WorkspaceStatus) -> ImagePair | None:
    """The images with which both workloads were last available."""
    record = status.images
    return (record.ollama, record.open_webui) if record else None


def kept_images(workspace: Workspace, observed: Observed, platform: PlatformSpec) -> Images:
    """The images to keep while others change: those that were applied, whatever an edit put there,
    else those that last worked."""
    last_working = last_working_images(workspace.status)
    fallbacks = last_working or running_images(observed) or platform.images.resolved
    applied = [
        _annotation(observed.objects.get(workload, _NO_OBJECT), names.IMAGE_ANNOTATION)
        for workload in workloads(workspace.spec.workspace_name)
    ]
    ollama, open_webui = (
        image or fallback for image, fallback in zip(applied, fallbacks, strict=True)
    )
    return Images.model_construct(mirror="", ollama=ollama, open_webui=open_webui)


def with_kept_restarts(workspace: Workspace, observed: Observed) -> Workspace:
    """Return the workspace with the restarts that its workloads have had and its spec leaves out:
    to take one out of a spec is no restart."""
    applied = [
        _restart(observed.objects.get(workload, _NO_OBJECT))
        for workload in workloads(workspace.spec.workspace_name)
    ]
    restart = workspace.spec.restart
    kept_restart = Restart(
        ollama=restart.ollama or applied[0], open_webui=restart.open_webui or applied[1]
    )
    spec = workspace.spec.model_copy(update={"restart": kept_restart})
    return workspace.model_copy(update={"spec": spec})


def _restart(workload: Manifest) -> str:
    """The restart that a workload has had. A text too long for a spec is somebody else's."""
    template = workload.get("spec", {}).get("template", _NO_OBJECT)
    text = _annotation(template, names.RESTART_ANNOTATION)
    return text if len(text) <= MAX_RESTART_LENGTH else ""


def _image(workload: Manifest) -> str:
    """The image as it was applied, which a webhook may have replaced. An older release has not
    written it down."""
    if image := _annotation(workload, names.IMAGE_ANNOTATION):
        return image
    containers = workload["spec"]["template"]["spec"]["containers"]
    name = CONTAINERS[workload["kind"]]
    return next(str(container["image"]) for container in containers if container["name"] == name)


def _annotation(manifest: Manifest, name: str) -> str:
    metadata = manifest.get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(name, ""))
