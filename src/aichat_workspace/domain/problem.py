"""A fault in a workspace, and its fix."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    reason: str
    """The CamelCase word of the condition, one of v1alpha1.condition_reasons."""
    message: str
    """What is wrong and how to fix it, for people."""
    field: str = ""
    """The field of the workspace that is wrong, as spec.models[0]; empty where none is."""
