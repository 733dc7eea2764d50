"""What one workspace becomes: every object of a tenant, from the workspace and the platform."""

from aichat_workspace.domain import watched
from aichat_workspace.domain.manifest import Manifest, ref
from aichat_workspace.domain.platform import PlatformSpec
from aichat_workspace.domain.render import ingress, network, ollama, openwebui, tenancy
from aichat_workspace.domain.render.tenant import Credentials, Tenant
from aichat_workspace.domain.workspace import Workspace

__all__ = ["Credentials", "render", "tenant_namespace"]


def tenant_namespace(workspace: Workspace) -> Manifest:
    """The tenant's namespace, marked with the UID of the resource that owns it."""
    return tenancy.namespace(workspace)


def render(
    workspace: Workspace, platform: PlatformSpec, credentials: Credentials
) -> tuple[Manifest, ...]:
    """Every object inside the tenant's namespace, in the order in which they are made."""
    tenant = Tenant(workspace.spec, platform, credentials)
    manifests = (
        *tenancy.render(tenant),
        *network.render(tenant),
        *ollama.render(tenant),
        *openwebui.render(tenant),
        *ingress.render(tenant),
    )
    return tuple(sorted(manifests, key=lambda each: (watched.RANK[each["kind"]], ref(each))))
