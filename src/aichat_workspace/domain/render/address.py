"""Where people open a workspace's chat."""

from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec


def workspace_url(spec: WorkspaceSpec, platform: PlatformSpec) -> str:
    """Return the URL at which people open the workspace's chat."""
    scheme, default_port = ("https", 443) if has_tls(spec, platform) else ("http", 80)
    port = platform.ingress.port
    suffix = f":{port}" if port not in (None, default_port) else ""
    return f"{scheme}://{effective_spec.host(spec, platform)}{suffix}"


def has_tls(spec: WorkspaceSpec, platform: PlatformSpec) -> bool:
    """Whether the workspace is served over TLS."""
    settings = platform.ingress
    return bool(spec.ingress.tls or settings.issuer or settings.default_certificate)
