"""The domain's kinds as the API server addresses them."""

from typing import Final

from aichat_workspace.domain import watched
from aichat_workspace.kube.resource import Resource

RESOURCES: Final = {
    each.kind: Resource(each.group, each.version, each.kind, each.plural, each.namespaced)
    for each in (
        watched.WORKSPACE,
        watched.PLATFORM,
        watched.NAMESPACE,
        watched.POD,
        watched.CONFIG_MAP,
        watched.EVENT,
        watched.INGRESS_CLASS,
        watched.STORAGE_CLASS,
        *watched.TENANT_KINDS,
    )
}
