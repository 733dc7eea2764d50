"""What is so of a workspace, before it is a dated condition."""

from dataclasses import dataclass

from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionStatus


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition before it is dated."""

    status: ConditionStatus
    reason: Reason
    message: str = ""
    problem: bool = False
    """Somebody has to act; time alone does not mend it."""
