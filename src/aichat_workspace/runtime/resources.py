"""The domain's kinds as the API server addresses them."""

from typing import Final

from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.kube.resource import Resource

RESOURCES: Final = {
    each.kind: Resource(each.group, each.version, each.kind, each.plural, each.namespaced)
    for each in (
        kinds.WORKSPACE,
        kinds.PLATFORM,
        kinds.NAMESPACE,
        kinds.POD,
        kinds.CONFIG_MAP,
        kinds.EVENT,
        kinds.INGRESS_CLASS,
        kinds.STORAGE_CLASS,
        *kinds.TENANT_KINDS,
    )
}
