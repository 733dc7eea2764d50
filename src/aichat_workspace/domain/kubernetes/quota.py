"""ResourceQuotas as the API server enforces them: by the bounds in their status.

https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.manifest import Manifest, covers

_REFUSALS: Final = ("exceeded quota", "status unknown for quota")
# "exceeded quota: NAME, requested: R=1, used: R=2,S=3Gi, limited: R=2,S=3Gi"
_LIMITED: Final = re.compile(r"exceeded quota: ([^,]+), .*limited: (\S+)$")
_SIZES: Final = ("memory", "storage")


def is_counted(quota: Manifest) -> bool:
    """Whether the quota controller has taken up the bounds in the spec."""
    bounds = (quota.get("status") or {}).get("hard") or {}
    return covers(bounds, quota["spec"]["hard"], "hard")


def with_room_of(quota: Manifest, present: Manifest) -> Manifest:
    """Return the quota with no bound below the present one: pods of an older template need that."""
    bounds = present["spec"]["hard"]
    hard = {
        resource: max(text, bounds.get(resource, text), key=quantity.parse)
        for resource, text in quota["spec"]["hard"].items()
    }
    return {**quota, "spec": {**quota["spec"], "hard": hard}}


def is_outdated(message: str, quota: Manifest) -> bool:
    """Whether a refusal by this quota names other bounds than its spec.

    Admission has a cache of its own, so it may know the bounds of before although the quota
    controller has taken up the new ones.
    """
    limited = _LIMITED.search(message)
    if limited is None or limited[1] != quota["metadata"]["name"]:
        return False
    bounds = dict(bound.split("=", 1) for bound in limited[2].split(",") if "=" in bound)
    hard = quota["spec"]["hard"]
    return any(
        quantity.parse(text) != quantity.parse(hard[resource])
        for resource, text in bounds.items()
        if resource in hard
    )


def is_refusal(message: str) -> bool:
    """Whether the API server refuses a write for its quota's bounds, with this message."""
    return any(text in message for text in _REFUSALS)


def amounts(quantities: Mapping[str, str]) -> dict[str, Fraction]:
    """Return a quota's quantities by the resource that they bound, in cores, bytes or pieces."""
    return {resource: quantity.parse(text) for resource, text in quantities.items()}


def write_amount(resource: str, amount: Fraction) -> str:
    """Write an amount of a quota's resource, as `limits.cpu`, in Kubernetes' form."""
    if resource.endswith("cpu"):
        return quantity.cores(amount)
    return quantity.size(amount) if resource.endswith(_SIZES) else str(int(amount))
