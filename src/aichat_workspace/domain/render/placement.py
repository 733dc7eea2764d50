"""Render where a workload's pods run, and as whom, as the platform and the workspace say."""

from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.pod_settings import NodeAffinity, RunAs
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec

_MAX_WEIGHT: Final = 100


def placement(spec: WorkspaceSpec, platform: PlatformSpec, component: str) -> dict[str, Any]:
    """Return the fields of a component's pods that say where they run."""
    pods, scheduling = platform.pods, spec.scheduling
    tolerations = [
        toleration.model_dump(by_alias=True, exclude_none=True)
        for toleration in scheduling.tolerations
    ]
    affinity = {
        **_node_affinity(pods.node_affinity),
        **_spread(pods.spread_over, component),
    }
    return {
        # Both images are Linux', and a cluster may have nodes with Windows.
        "nodeSelector": {"kubernetes.io/os": "linux", **scheduling.node_selector},
        **({"tolerations": tolerations} if tolerations else {}),
        **({"affinity": affinity} if affinity else {}),
        **({"runtimeClassName": pods.runtime_class.name} if pods.runtime_class else {}),
        **({"priorityClassName": pods.priority_class_name} if pods.priority_class_name else {}),
        **({} if pods.host_users else {"hostUsers": False}),
    }


def pod_security(platform: PlatformSpec, user: int, group: int) -> dict[str, Any]:
    """Return a security context that Pod Security `restricted` admits.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    is_fixed = platform.pods.run_as is RunAs.FIXED
    return {
        "runAsNonRoot": True,
        **({"runAsUser": user, "runAsGroup": group, "fsGroup": user} if is_fixed else {}),
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _node_affinity(affinity: NodeAffinity) -> dict[str, Any]:
    required = [_dump(term) for term in affinity.required]
    preferred = [_dump(term) for term in affinity.preferred]
    terms: dict[str, Any] = {}
    if required:
        terms["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": required}
    if preferred:
        terms["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    return {"nodeAffinity": terms} if terms else {}


def _dump(term: Any) -> Any:
    return term.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _spread(topology_keys: tuple[str, ...], component: str) -> dict[str, Any]:
    """Return an anti-affinity to the same component of all workspaces.

    A topologySpreadConstraint counts pods of one namespace only, and a workspace has one pod of
    each workload there.
    """
    if not topology_keys:
        return {}
    ours = {names.MANAGED_BY_LABEL: names.OPERATOR}
    terms = [
        {
            "weight": _MAX_WEIGHT // place,
            "podAffinityTerm": {
                "topologyKey": key,
                "labelSelector": {"matchLabels": {**ours, names.COMPONENT_LABEL: component}},
                "namespaceSelector": {"matchLabels": ours},
            },
        }
        for place, key in enumerate(topology_keys, start=1)
    ]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}
