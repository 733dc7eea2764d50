"""What is known of one workspace when its status is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.kubernetes.rewrites import Rewrite
from aichat_workspace.domain.models.status import (
    ModelStatus,
    PatternStatus,
)
from aichat_workspace.domain.models.tools import NOT_OFFERED_YET, ToolStatus
from aichat_workspace.domain.planning.observed import NOTHING, Observed
from aichat_workspace.domain.planning.pod_change import (
    NO_CHANGE,
    PodChange,
)
from aichat_workspace.domain.planning.restore import RestorePlan
from aichat_workspace.domain.policy.ownership import Rejection
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.workspace_status import (
    ActivityRecord,
)


@dataclass(frozen=True, slots=True)
class StatusInputs:
    """What is known of one workspace."""

    url: str
    """Where it is served; empty for nowhere."""
    desired: Sequence[Ref] = ()
    observed: Observed = NOTHING
    rejection: Rejection | None = None
    """Why nothing is created for it."""
    failure: Problem | None = None
    """The most important problem, or the first write that the API server refused."""
    models: tuple[ModelStatus, ...] = ()
    """As the model server was last seen."""
    patterns: tuple[PatternStatus, ...] = ()
    """As the model server was last seen."""
    refreshed: str = ""
    """The request for a refresh of the models that was last met."""
    tools: ToolStatus = NOT_OFFERED_YET
    """The tools that the chat offers."""
    activity: ActivityRecord | None = None
    """What the chat says of its use; None where it was not asked."""
    pods: PodChange = NO_CHANGE
    turn_deadline: timedelta = timedelta(minutes=15)
    """How long a turn may last that begins now."""
    is_written: bool = True
    """The writes were tried."""
    rewrites: tuple[Rewrite, ...] = ()
    """Objects that came back different when they were written."""
    ingress_classes: tuple[Manifest, ...] = ()
    sizes: Mapping[Ref, str] = field(default_factory=dict)
    """The desired sizes of its claims."""
    sync_problem: Problem | None = None
    """Why the operator can't keep it as desired, although nothing is wrong with it."""
    is_expired: bool = False
    """It is stopped because its time is over."""
    restore: RestorePlan | None = None
    """None where nothing is decided about its data: what is recorded stays."""
    backup_destination: str = ""
    """Where its backups go; empty while that is not known."""
    has_snapshots: bool = False
    """Whether its backups are snapshots of the chat's volume, as they are observed."""
    backup_problem: Problem | None = None
    """Why no backup can be made."""
