"""The tenant itself: namespace, fair share, identities and secrets."""

import base64
from fractions import Fraction
from typing import Final

from aichat_workspace.domain import names, quantity
from aichat_workspace.domain.manifest import Manifest
from aichat_workspace.domain.platform import PlatformSpec
from aichat_workspace.domain.render.tenant import (
    OLLAMA,
    OPENWEBUI,
    TENANCY,
    Credentials,
    Tenant,
    workspace_labels,
)
from aichat_workspace.domain.workspace import Workspace

# Both workloads, and one more of each while a new pod starts before the old one is gone.
_ROLL_OUT: Final = 2
_PODS: Final = 2 * _ROLL_OUT


def namespace(workspace: Workspace) -> Manifest:
    name = workspace.spec.workspace_name
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {
                **workspace_labels(name, name, TENANCY),
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/enforce-version": "latest",
            },
            "annotations": {
                names.OWNER_UID_ANNOTATION: workspace.uid,
                names.OWNER_ANNOTATION: f"{workspace.namespace}/{workspace.name}",
            },
        },
    }


def render(tenant: Tenant) -> tuple[Manifest, ...]:
    return (
        _resource_quota(tenant),
        _limit_range(tenant),
        tenant.service_account(tenant.ollama, OLLAMA),
        tenant.service_account(tenant.openwebui, OPENWEBUI),
        _secret(tenant),
    )


def _resource_quota(tenant: Tenant) -> Manifest:
    platform = tenant.platform
    return tenant.manifest(
        "v1",
        "ResourceQuota",
        tenant.name,
        TENANCY,
        spec={
            "hard": {
                "pods": str(_PODS),
                "requests.cpu": quantity.cores(_sum(platform, "cpu_request", _ROLL_OUT)),
                "limits.cpu": quantity.cores(_sum(platform, "cpu_limit", _ROLL_OUT)),
                "requests.memory": quantity.size(_sum(platform, "memory_request", _ROLL_OUT)),
                "limits.memory": quantity.size(_sum(platform, "memory_limit", _ROLL_OUT)),
                "requests.storage": quantity.size(_sum(platform, "storage", 1)),
                "persistentvolumeclaims": "2",
                "services.loadbalancers": "0",
                "services.nodeports": "0",
            }
        },
    )


def _sum(platform: PlatformSpec, field: str, times: int) -> Fraction:
    shares = (platform.ollama, platform.open_webui)
    return sum((quantity.parse(getattr(share, field)) for share in shares), Fraction()) * times


def _limit_range(tenant: Tenant) -> Manifest:
    """Gives a container without requests some, for the quota would refuse it otherwise."""
    share = tenant.platform.open_webui
    return tenant.manifest(
        "v1",
        "LimitRange",
        tenant.name,
        TENANCY,
        spec={
            "limits": [
                {
                    "type": "Container",
                    "default": {"cpu": share.cpu_limit, "memory": share.memory_limit},
                    "defaultRequest": {"cpu": share.cpu_request, "memory": share.memory_request},
                }
            ]
        },
    )


def _secret(tenant: Tenant) -> Manifest:
    return tenant.manifest(
        "v1",
        "Secret",
        tenant.secret,
        OPENWEBUI,
        type="Opaque",
        immutable=True,
        data=secret_data(tenant.credentials),
    )


def secret_data(credentials: Credentials) -> dict[str, str]:
    """The credentials as a Secret's data; its keys are the variables Open WebUI reads."""
    values = {
        "WEBUI_SECRET_KEY": credentials.secret_key,
        "WEBUI_ADMIN_EMAIL": credentials.admin_email,
        "WEBUI_ADMIN_PASSWORD": credentials.admin_password,
    }
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
