"""The kinds that the operator reads and writes, in the order in which they are created.

One list and watch per kind serves every workspace.
"""

from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.foundation.resource import Resource

WORKSPACE: Final = Resource(names.GROUP, names.VERSION, "AIChatWorkspace", "aichatworkspaces")
PLATFORM: Final = Resource(names.GROUP, names.VERSION, "AIChatPlatform", "aichatplatforms", False)
NAMESPACE: Final = Resource("", "v1", "Namespace", "namespaces", False)
SECRET: Final = Resource("", "v1", "Secret", "secrets")
POD: Final = Resource("", "v1", "Pod", "pods")
RESOURCE_QUOTA: Final = Resource("", "v1", "ResourceQuota", "resourcequotas")
VOLUME_CLAIM: Final = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
CONFIG_MAP: Final = Resource("", "v1", "ConfigMap", "configmaps")
INGRESS_CLASS: Final = Resource("networking.k8s.io", "v1", "IngressClass", "ingressclasses", False)
STORAGE_CLASS: Final = Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", False)
VOLUME_SNAPSHOT: Final = Resource(
    "snapshot.storage.k8s.io", "v1", "VolumeSnapshot", "volumesnapshots"
)
VOLUME_SNAPSHOT_CLASS: Final = Resource(
    "snapshot.storage.k8s.io", "v1", "VolumeSnapshotClass", "volumesnapshotclasses", False
)
DEFAULT_CLASS_ANNOTATIONS: Final = {
    STORAGE_CLASS: "storageclass.kubernetes.io/is-default-class",
    INGRESS_CLASS: "ingressclass.kubernetes.io/is-default-class",
}
"""On the class that counts where none is named: "true"."""
GATEWAY: Final = Resource("gateway.networking.k8s.io", "v1", "Gateway", "gateways")
CLUSTER_ISSUER: Final = Resource("cert-manager.io", "v1", "ClusterIssuer", "clusterissuers", False)
NODE: Final = Resource("", "v1", "Node", "nodes", False)
ENDPOINT_SLICE: Final = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
NETWORK_POLICY: Final = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
SERVICE_ACCOUNT: Final = Resource("", "v1", "ServiceAccount", "serviceaccounts")
ROLE_BINDING: Final = Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE: Final = Resource(
    "rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False
)
EVENT: Final = Resource("events.k8s.io", "v1", "Event", "events")

HTTP_ROUTE: Final = Resource("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")

CRON_JOB: Final = Resource("batch", "v1", "CronJob", "cronjobs")
JOB: Final = Resource("batch", "v1", "Job", "jobs")

# In this order: quotas and network policies exist before any pod runs.
TENANT_KINDS: Final = (
    RESOURCE_QUOTA,
    Resource("", "v1", "LimitRange", "limitranges"),
    NETWORK_POLICY,
    SECRET,
    SERVICE_ACCOUNT,
    VOLUME_CLAIM,
    Resource("", "v1", "Service", "services"),
    Resource("apps", "v1", "StatefulSet", "statefulsets"),
    Resource("apps", "v1", "Deployment", "deployments"),
    CRON_JOB,
    JOB,
    Resource("networking.k8s.io", "v1", "Ingress", "ingresses"),
    HTTP_ROUTE,
    VOLUME_SNAPSHOT,
)
OPTIONAL_TENANT_KINDS: Final = frozenset({HTTP_ROUTE, VOLUME_SNAPSHOT})
"""Those that a cluster may not have."""
# A tenant's Secret is written but never listed or watched: the operator may not read it.
WATCHED_TENANT_KINDS: Final = tuple(kind for kind in TENANT_KINDS if kind is not SECRET)
WORKLOAD_KINDS: Final = frozenset({"StatefulSet", "Deployment"})
JOB_KINDS: Final = frozenset({CRON_JOB.kind, JOB.kind})
"""Their pods copy the chat's data to a store, or back."""
ROUTE_KINDS: Final = frozenset({"Ingress", "HTTPRoute"})
"""Their objects send a host's requests to the chat."""
RANK: Final = {kind.kind: rank for rank, kind in enumerate((NAMESPACE, *TENANT_KINDS))}
RESOURCES: Final = {
    resource.kind: resource
    for resource in (
        WORKSPACE,
        PLATFORM,
        NAMESPACE,
        POD,
        CONFIG_MAP,
        EVENT,
        INGRESS_CLASS,
        STORAGE_CLASS,
        *TENANT_KINDS,
    )
}
