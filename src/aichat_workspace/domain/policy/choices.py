"""What teams may choose by name: what the platform uses by itself, and what it lists.

Each name may be a pattern: example.org/* for a prefix, or * for all.
"""

from aichat_workspace.domain.v1alpha1.network_settings import IssuerKind
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec


def storage_classes(platform: PlatformSpec) -> tuple[str, ...]:
    """Return the StorageClasses that a workspace may name."""
    return _with_own(platform.storage_class_name, platform.allowed.storage_classes)


def ingress_classes(platform: PlatformSpec) -> tuple[str, ...]:
    """Return the IngressClasses that a workspace may name."""
    return _with_own(platform.ingress.class_name, platform.allowed.ingress_classes)


def issuers(platform: PlatformSpec) -> tuple[str, ...]:
    """Return the ClusterIssuers that a workspace may name; an Issuer of its own it always may."""
    own = platform.ingress.issuer
    own_name = own.name if own and own.kind is IssuerKind.CLUSTER_ISSUER else None
    return _with_own(own_name, platform.allowed.issuers)


def _with_own(own: str | None, allowed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*((own,) if own else ()), *allowed)))
