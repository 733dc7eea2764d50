"""Render every object of a tenant from its workspace and the platform's settings."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import orjson

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.manifest import Manifest, ref
from aichat_workspace.domain.policy.platform_secrets import NO_PLATFORM_SECRETS, PlatformSecrets
from aichat_workspace.domain.policy.secret_references import ReferencedSecret
from aichat_workspace.domain.render import (
    backup_jobs,
    ingress,
    namespace,
    network_policies,
    ollama,
    openwebui,
)
from aichat_workspace.domain.render.context import Backups, Credentials, Tenant
from aichat_workspace.domain.render.namespace_metadata import NO_METADATA, present_metadata
from aichat_workspace.domain.v1alpha1.metadata_settings import Metadata
from aichat_workspace.domain.v1alpha1.platform_spec import Images, PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.foundation.metadata import labels

__all__ = [
    "Backups",
    "Credentials",
    "ReferencedSecret",
    "orphaned_namespace",
    "render",
    "retained_namespace",
    "retained_orphan",
    "tenant_namespace",
]

# The same arguments give equal manifests, so this only saves time: a workspace is looked at some
# three times in a row before anything that it is made from changes (docs/decisions/0016).
_MAX_RENDERED: Final = 64
_last_rendered: OrderedDict[tuple[str, Images], tuple[Tenant, tuple[Manifest, ...]]] = OrderedDict()


def tenant_namespace(workspace: Workspace, platform_metadata: Metadata = NO_METADATA) -> Manifest:
    """Render the tenant's namespace, annotated with the UID of the workspace that owns it.

    `platform_metadata` is what the platform puts on it.
    """
    return namespace.namespace(workspace, platform_metadata)


def retained_namespace(workspace: Workspace, platform_metadata: Metadata = NO_METADATA) -> Manifest:
    """Render the namespace that a deleted workspace leaves behind."""
    return _annotated(
        namespace.namespace(workspace, platform_metadata), names.RETAINED_ANNOTATION, "true"
    )


def orphaned_namespace(orphan: Manifest, since: datetime) -> Manifest:
    """Render a namespace whose resource is gone, with the time when that was found.

    The resource's UID goes with it: a time that somebody edited stays there with the next owner.
    """
    owner_uid = orphan["metadata"]["annotations"][names.OWNER_UID_ANNOTATION]
    value = f"{since.isoformat()} {owner_uid}"
    return _annotated(_as_marked(orphan), names.ORPHANED_ANNOTATION, value)


def retained_orphan(orphan: Manifest) -> Manifest:
    """Render a namespace whose resource is gone as if that had left it behind."""
    return _annotated(_as_marked(orphan), names.RETAINED_ANNOTATION, "true")


def _as_marked(orphan: Manifest) -> Manifest:
    marks = orphan["metadata"]["annotations"]
    return namespace.marked_namespace(
        orphan["metadata"]["name"],
        marks[names.OWNER_UID_ANNOTATION],
        marks.get(names.OWNER_ANNOTATION, ""),
        labels(orphan).get(names.COST_CENTRE_LABEL, ""),
        present_metadata(orphan),
    )


def render(
    workspace: Workspace,
    platform: PlatformSpec,
    credentials: Credentials,
    referenced: Mapping[str, ReferencedSecret] | None = None,
    platform_secrets: PlatformSecrets = NO_PLATFORM_SECRETS,
    backups: Backups | None = None,
    *,
    stops_chat: bool = False,
) -> tuple[Manifest, ...]:
    """Render every object in the tenant's namespace, in the order in which they are created.

    `referenced` are the Secrets that the workspace refers to, by their purpose, and
    `platform_secrets` has what every workspace gets, and `backups` what runs of the backup program
    need, where there are to be any. With `stops_chat` the chat has no pod. The same arguments give
    the very same manifests, as long as they are among the last: no reader may change them.
    """
    tenant = Tenant(
        workspace.spec,
        platform,
        credentials,
        referenced or {},
        platform_secrets,
        backups,
        stops_chat,
    )
    key = (tenant.name, platform.images)  # a turn that has not come yet keeps other images
    known = _last_rendered.pop(key, None)
    if known is None or known[0] != tenant:
        known = (tenant, _render(tenant))
    _last_rendered[key] = known
    if len(_last_rendered) > _MAX_RENDERED:
        _last_rendered.popitem(last=False)
    return known[1]


def _render(tenant: Tenant) -> tuple[Manifest, ...]:
    manifests = (
        *namespace.render(tenant),
        *network_policies.render(tenant),
        *ollama.render(tenant),
        *openwebui.render(tenant),
        *ingress.render(tenant),
        *backup_jobs.render(tenant),
    )
    return tuple(
        with_applied_hash(_with_pod_template(manifest))
        for manifest in sorted(
            manifests, key=lambda manifest: (kinds.RANK[manifest["kind"]], ref(manifest))
        )
    )


def _with_pod_template(manifest: Manifest) -> Manifest:
    """Annotate a workload with a digest of its pod template, and with its image.

    They tell what was applied, even where a webhook has rewritten it.
    """
    if manifest["kind"] not in kinds.WORKLOAD_KINDS:
        return manifest
    template = manifest["spec"]["template"]
    digest = _digest(template)
    (container,) = template["spec"]["containers"]
    annotated = _annotated(manifest, names.POD_TEMPLATE_ANNOTATION, digest)
    return _annotated(annotated, names.IMAGE_ANNOTATION, container["image"])


def with_applied_hash(manifest: Manifest) -> Manifest:
    """Annotate the manifest with a digest of itself.

    Comparing observed with desired can't find a field that is no longer desired. A digest that
    differs does, and applying the manifest then removes the field.
    """
    return _annotated(manifest, names.APPLIED_ANNOTATION, _digest(manifest))


def _digest(document: Manifest) -> str:
    text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:12]


def _annotated(manifest: Manifest, name: str, value: str) -> Manifest:
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), name: value}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}
