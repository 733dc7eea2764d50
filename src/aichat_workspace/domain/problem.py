"""What is wrong with a workspace, and what mends it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    reason: str
    message: str
