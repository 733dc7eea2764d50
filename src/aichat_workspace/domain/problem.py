"""A fault in a workspace, and its fix."""

from dataclasses import dataclass

from aichat_workspace.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class Problem:
    reason: Reason
    message: str
    """What is wrong and how to fix it, for people."""
    field: str = ""
    """The field of the workspace that is wrong, as spec.models[0]; empty where none is."""
