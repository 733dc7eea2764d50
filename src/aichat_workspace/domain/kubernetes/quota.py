"""ResourceQuotas as the API server enforces them: by the bounds in their status.

https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from typing import Final

from aichat_workspace.domain.kubernetes.manifest import Manifest, covers

_REFUSALS: Final = ("exceeded quota", "status unknown for quota")


def is_counted(quota: Manifest) -> bool:
    """Whether the quota controller has taken up the bounds in the spec."""
    bounds = (quota.get("status") or {}).get("hard") or {}
    return covers(bounds, quota["spec"]["hard"], "hard")


def is_refusal(message: str) -> bool:
    """Whether the API server refuses a write for its quota's bounds, with this message."""
    return any(text in message for text in _REFUSALS)
