"""What one workspace becomes: every object of a tenant, from the workspace and the platform."""

import hashlib
import json
from collections.abc import Mapping

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.manifest import Manifest, ref
from aichat_workspace.domain.policy.secret_references import ReferencedSecret
from aichat_workspace.domain.render import ingress, namespace, network_policies, ollama, openwebui
from aichat_workspace.domain.render.context import Credentials, Tenant
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace

__all__ = ["Credentials", "ReferencedSecret", "render", "retained_namespace", "tenant_namespace"]


def tenant_namespace(workspace: Workspace) -> Manifest:
    """The tenant's namespace, marked with the UID of the resource that owns it."""
    return namespace.namespace(workspace)


def retained_namespace(workspace: Workspace) -> Manifest:
    """The namespace as a deleted workspace leaves it behind."""
    body = namespace.namespace(workspace)
    marks = {**body["metadata"]["annotations"], names.RETAINED_ANNOTATION: "true"}
    return {**body, "metadata": {**body["metadata"], "annotations": marks}}


def render(
    workspace: Workspace,
    platform: PlatformSpec,
    credentials: Credentials,
    referenced: Mapping[str, ReferencedSecret] | None = None,
) -> tuple[Manifest, ...]:
    """Every object inside the tenant's namespace, in the order in which they are made.
    `referenced` are the Secrets that the workspace names, by what they are for."""
    tenant = Tenant(workspace.spec, platform, credentials, referenced or {})
    manifests = (
        *namespace.render(tenant),
        *network_policies.render(tenant),
        *ollama.render(tenant),
        *openwebui.render(tenant),
        *ingress.render(tenant),
    )
    return tuple(
        with_applied_hash(each)
        for each in sorted(manifests, key=lambda each: (kinds.RANK[each["kind"]], ref(each)))
    )


def with_applied_hash(manifest: Manifest) -> Manifest:
    """With a digest of itself. Comparing what is there with what should be can't see a field that
    should be no longer; a digest that differs does, and applying then takes the field out."""
    text = json.dumps(manifest, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    metadata = manifest["metadata"]
    marks = {**metadata.get("annotations", {}), names.APPLIED_ANNOTATION: digest}
    return {**manifest, "metadata": {**metadata, "annotations": marks}}
