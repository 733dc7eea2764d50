"""The tenant itself: namespace, fair share, identities and secrets."""

import base64
from fractions import Fraction
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.render.context import (
    OLLAMA,
    OPENWEBUI,
    TENANCY,
    Credentials,
    Tenant,
    workspace_labels,
)
from aichat_workspace.domain.v1alpha1.workspace import Workspace

_PODS: Final = 2 * effective_spec.ROLL_OUT


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
        *(_copy(tenant, purpose) for purpose in tenant.copied),
    )


def _resource_quota(tenant: Tenant) -> Manifest:
    most = effective_spec.quota(tenant.spec, tenant.platform)
    shares = (tenant.share(OLLAMA), tenant.share(OPENWEBUI))
    requests = {
        of: sum((quantity.parse(getattr(each, f"{of}_request")) for each in shares), Fraction())
        for of in ("cpu", "memory")
    }
    gpu = tenant.spec.resources.ollama.gpu
    return tenant.manifest(
        "v1",
        "ResourceQuota",
        tenant.name,
        TENANCY,
        spec={
            "hard": {
                "pods": str(_PODS + (1 if tenant.issuer else 0)),  # and the certificate's solver
                "requests.cpu": quantity.cores(requests["cpu"] * effective_spec.ROLL_OUT),
                "limits.cpu": quantity.cores(most["cpu"]),
                "requests.memory": quantity.size(requests["memory"] * effective_spec.ROLL_OUT),
                "limits.memory": quantity.size(most["memory"]),
                "requests.storage": quantity.size(most["storage"]),
                **({f"requests.{gpu.resource_name}": str(gpu.count)} if gpu else {}),
                "persistentvolumeclaims": "2",
                "services.loadbalancers": "0",
                # A standard issuer's solver is reached by a node port for as long as it proves.
                "services.nodeports": "1" if tenant.issuer else "0",
            }
        },
    )


def _limit_range(tenant: Tenant) -> Manifest:
    """Gives a container without requests some, for the quota would refuse it otherwise."""
    share = tenant.share(OPENWEBUI)
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


def _copy(tenant: Tenant, purpose: str) -> Manifest:
    original = tenant.referenced[purpose]
    return tenant.manifest(
        "v1",
        "Secret",
        tenant.copy_name(purpose),
        OPENWEBUI,
        type=original.type,
        immutable=True,
        data=dict(original.data),
    )


def secret_data(credentials: Credentials) -> dict[str, str]:
    """The credentials as a Secret's data; its keys are the variables Open WebUI reads."""
    values = {
        "WEBUI_SECRET_KEY": credentials.secret_key,
        "WEBUI_ADMIN_EMAIL": credentials.admin_email,
        "WEBUI_ADMIN_PASSWORD": credentials.admin_password,
    }
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
