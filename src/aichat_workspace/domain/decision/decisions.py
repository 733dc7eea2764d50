"""What is to become of one resource, or of a namespace without one."""

from collections.abc import Sequence
from dataclasses import dataclass

from aichat_workspace.domain.decision.steps import OrphanStep, Step
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.models.status import DesiredModels
from aichat_workspace.domain.planning.actions import Action
from aichat_workspace.domain.planning.pod_change import NO_CHANGE, PodChange
from aichat_workspace.domain.planning.repairs import Repair
from aichat_workspace.domain.planning.restore import RestorePlan
from aichat_workspace.domain.policy.ownership import Rejection
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.render.context import NO_CREDENTIALS, Credentials
from aichat_workspace.domain.v1alpha1.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Reject:
    """Create nothing for it."""

    workspace: Workspace
    rejection: Rejection
    expires_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Expire:
    """Delete the resource: its time is over."""

    workspace: Workspace


@dataclass(frozen=True, slots=True)
class Finalize:
    """End a resource that is being deleted."""

    workspace: Workspace
    steps: tuple[Step, ...] = ()
    awaits_namespace: bool = False
    """The namespace has to be gone before the finalizer is removed."""
    ends_tenant: bool = True
    """Else another resource has the tenant."""


@dataclass(frozen=True, slots=True)
class Provision:
    """Create and keep the tenant."""

    workspace: Workspace
    problems: tuple[Problem, ...]
    """What a person has to mend, the most important first."""
    models: DesiredModels
    strikes_namespace: bool = False
    """Before any step, the status has to forget the recorded namespace, which is gone. An
    interruption right after the next create then leaves no record that contradicts it."""
    steps: tuple[Step, ...] = ()
    """What the actions stand on."""
    actions: tuple[Action, ...] = ()
    """Each is tried, whatever becomes of the others."""
    desired: Sequence[Manifest] = ()
    pods: PodChange = NO_CHANGE
    rewritten: frozenset[Ref] = frozenset()
    """Objects that came back different from an earlier write, and are as they came back."""
    credentials: Credentials = NO_CREDENTIALS
    obstacle: Problem | None = None
    """Why there are no actions: the namespace is being deleted."""
    repairs: tuple[Repair, ...] = ()
    """Which of the actions may put back what others changed."""
    backup_destination: str = ""
    """Where backups go; empty for nowhere."""
    has_snapshots: bool = False
    """Whether backups are snapshots of the chat's volume."""
    backup_problem: Problem | None = None
    """Why no backup can be made. Nothing else depends on it."""
    restore: RestorePlan | None = None
    """What becomes of the chat's data; None where nothing is decided."""
    expires_in_seconds: float | None = None
    """Seconds until its time is over, or until that is looked at again; None for never."""
    is_expired: bool = False
    """Its time is over, and it is stopped rather than deleted."""
    delay: Problem | None = None
    """Why it does not expire, although its time is over by the operator's clock."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """Tell of a namespace whose resource is gone, and stop it once its grace is over."""

    namespace: Manifest
    steps: tuple[OrphanStep, ...] = ()
    stops_in_seconds: float | None = None
    """None once it is stopped."""


Decision = Reject | Expire | Finalize | Provision | Orphan
