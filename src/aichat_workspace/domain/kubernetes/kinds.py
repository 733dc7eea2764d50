"""The kinds that the operator reads and writes, in the order in which they are created.

One list and watch per kind serves every workspace.
"""

from dataclasses import dataclass
from typing import Final

from aichat_workspace.domain import names


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of Kubernetes objects, with what a request's path needs."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


WORKSPACE: Final = Kind(names.GROUP, names.VERSION, "AIChatWorkspace", "aichatworkspaces")
PLATFORM: Final = Kind(names.GROUP, names.VERSION, "AIChatPlatform", "aichatplatforms", False)
NAMESPACE: Final = Kind("", "v1", "Namespace", "namespaces", False)
SECRET: Final = Kind("", "v1", "Secret", "secrets")
POD: Final = Kind("", "v1", "Pod", "pods")
CONFIG_MAP: Final = Kind("", "v1", "ConfigMap", "configmaps")
INGRESS_CLASS: Final = Kind("networking.k8s.io", "v1", "IngressClass", "ingressclasses", False)
STORAGE_CLASS: Final = Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", False)
EVENT: Final = Kind("events.k8s.io", "v1", "Event", "events")

HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")

# In this order: quotas and network policies exist before any pod runs.
TENANT_KINDS: Final = (
    Kind("", "v1", "ResourceQuota", "resourcequotas"),
    Kind("", "v1", "LimitRange", "limitranges"),
    Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    Kind("", "v1", "ServiceAccount", "serviceaccounts"),
    SECRET,
    Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Kind("", "v1", "Service", "services"),
    Kind("apps", "v1", "StatefulSet", "statefulsets"),
    Kind("apps", "v1", "Deployment", "deployments"),
    Kind("networking.k8s.io", "v1", "Ingress", "ingresses"),
    HTTP_ROUTE,
)
# A tenant's Secret is written but never listed or watched: the operator may not read it.
WATCHED_TENANT_KINDS: Final = tuple(kind for kind in TENANT_KINDS if kind is not SECRET)
WORKLOAD_KINDS: Final = frozenset({"StatefulSet", "Deployment"})
ROUTE_KINDS: Final = frozenset({"Ingress", "HTTPRoute"})
"""Their objects send a host's requests to the chat."""
RANK: Final = {kind.kind: rank for rank, kind in enumerate((NAMESPACE, *TENANT_KINDS))}
