"""Render the tenant's namespace, its quota and limits, ServiceAccounts and Secrets."""

import base64
from collections.abc import Iterator

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy import effective_spec
from aichat_workspace.domain.render.components import OLLAMA, OPENWEBUI, TENANCY
from aichat_workspace.domain.render.context import Credentials, Tenant, with_pull_digest
from aichat_workspace.domain.render.labels import workspace_labels
from aichat_workspace.domain.render.namespace_metadata import metadata_record
from aichat_workspace.domain.v1alpha1.metadata_settings import Metadata
from aichat_workspace.domain.v1alpha1.workspace import Workspace


def namespace(workspace: Workspace, platform_metadata: Metadata) -> Manifest:
    owner = f"{workspace.namespace}/{workspace.name}"
    spec = workspace.spec
    return marked_namespace(
        spec.workspace_name, workspace.uid, owner, spec.cost_centre, platform_metadata
    )


def marked_namespace(
    name: str, owner_uid: str, owner: str, cost_centre: str, platform_metadata: Metadata
) -> Manifest:
    """Render a namespace that is annotated with its owner, a resource's UID and namespace/name.

    Tools that tell costs read its labels; `cost_centre` is empty for none. `platform_metadata` is
    what the platform puts there.
    """
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {
                **platform_metadata.labels,
                **workspace_labels(name, name, TENANCY),
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/enforce-version": "latest",
                **({names.COST_CENTRE_LABEL: cost_centre} if cost_centre else {}),
            },
            "annotations": {
                **platform_metadata.annotations,
                **metadata_record(platform_metadata),
                names.OWNER_UID_ANNOTATION: owner_uid,
                names.OWNER_ANNOTATION: owner,
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
        *_platform_copies(tenant),
    )


def _resource_quota(tenant: Tenant) -> Manifest:
    spec, platform = tenant.spec, tenant.platform
    quota = effective_spec.quota(spec, platform)
    pods = effective_spec.pod_shares(spec, platform)
    shares = effective_spec.counted_shares(spec, platform)
    gpu = spec.resources.ollama.gpu
    has_volume = tenant.backups is not None and tenant.backups.claimed is not None
    return tenant.manifest(
        "v1",
        "ResourceQuota",
        tenant.name,
        TENANCY,
        spec={
            "hard": {
                "pods": str(len(pods)),
                "requests.cpu": quantity.cores(effective_spec.total(shares, "cpu_request")),
                "limits.cpu": quantity.cores(quota["cpu"]),
                "requests.memory": quantity.size(effective_spec.total(shares, "memory_request")),
                "limits.memory": quantity.size(quota["memory"]),
                "requests.storage": quantity.size(quota["storage"]),
                **({f"requests.{gpu.resource_name}": str(gpu.count)} if gpu else {}),
                "persistentvolumeclaims": "3" if has_volume else "2",
                "services.loadbalancers": "0",
                # While an issuer proves the host, its solver is reached by a node port.
                "services.nodeports": "1" if tenant.issuer else "0",
            }
        },
    )


def _limit_range(tenant: Tenant) -> Manifest:
    """Render requests for containers that have none, which the quota would refuse."""
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


def _platform_copies(tenant: Tenant) -> Iterator[Manifest]:
    """Yield the copies of what the platform's settings name for every workspace.

    The authorities' has a name of its own for each content, and pods follow it by turns. Those of
    registries' passwords keep their names, as pods that run have no use for new ones.
    """
    platform_secrets = tenant.platform_secrets
    for number, original in enumerate(platform_secrets.pull_secrets, start=1):
        name = names.pull_secret(tenant.name, number)
        copy = tenant.manifest(
            "v1", "Secret", name, TENANCY, type=original.type, data=dict(original.data)
        )
        yield with_pull_digest(copy, platform_secrets)
    if platform_secrets.authorities is not None:
        yield tenant.manifest(
            "v1",
            "Secret",
            tenant.authorities,
            TENANCY,
            type=platform_secrets.authorities.type,
            immutable=True,
            data=dict(platform_secrets.authorities.data),
        )


def secret_data(credentials: Credentials) -> dict[str, str]:
    """Return the credentials as a Secret's data, whose keys are Open WebUI's variables."""
    values = {
        "WEBUI_SECRET_KEY": credentials.secret_key,
        "WEBUI_ADMIN_EMAIL": credentials.admin_email,
        "WEBUI_ADMIN_PASSWORD": credentials.admin_password,
    }
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
