"""Sample data of the domain's tests."""

from datetime import UTC, datetime
from typing import Any

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.planning.secret_copies import desired_copies, with_record
from aichat_workspace.domain.policy.platform_secrets import (
    PULL_SECRET_KEY,
    PULL_SECRET_TYPE,
    resolve_platform_secrets,
)
from aichat_workspace.domain.render import Credentials, render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nb3Vycw==\n-----END CERTIFICATE-----\n"
SYSTEM_SECRETS: dict[str, Manifest] = {
    "registry": {"type": PULL_SECRET_TYPE, "data": {PULL_SECRET_KEY: "e30="}}
}
"""Of the system namespace, by name, for settings that name them."""
SYSTEM_CONFIG_MAPS: dict[str, Manifest] = {"corp": {"data": {"ca.crt": CERTIFICATE}}}
CREDENTIALS = Credentials("key", "admin@team-a-aichat.localtest.me", "password")


def workspace(name: str = "team-a-aichat", **changes: Any) -> Workspace:
    """Return the sample workspace; `changes` are fields of its spec, its metadata or its status."""
    metadata = {
        "name": "aichatworkspace-team-a",
        "namespace": names.SYSTEM_NAMESPACE,
        "uid": "uid-a",
        "generation": 1,
        "creationTimestamp": "2026-11-23T11:00:00Z",
        **changes.pop("metadata", {}),
    }
    status = changes.pop("status", {})
    spec = {"workspaceName": name, "models": ["gemma2:2b"], "patterns": ["explain_code"], **changes}
    return Workspace.parse({"metadata": metadata, "spec": spec, "status": status})


def desired(platform: PlatformSpec | None = None) -> tuple[Manifest, ...]:
    """Return the rendered objects of the sample workspace."""
    settings = platform or PlatformSpec()
    platform_secrets, _ = resolve_platform_secrets(
        settings, SYSTEM_SECRETS.get, SYSTEM_CONFIG_MAPS.get
    )
    return render(workspace(), settings, CREDENTIALS, platform_secrets=platform_secrets)


def namespace(**metadata: Any) -> dict[str, Any]:
    """Return the tenant's namespace as the API server stores it."""
    rendered = with_record(tenant_namespace(workspace()), desired_copies(desired()))
    stored = {**rendered["metadata"], "uid": "ns-1", "resourceVersion": "1", **metadata}
    return {**rendered, "metadata": stored, "status": {"phase": "Active"}}


def as_cached(manifests: tuple[Manifest, ...]) -> dict[Ref, Manifest]:
    """Return the objects as the operator's caches have them, without the API server's defaults."""
    return {
        ref(manifest): {
            **manifest,
            "metadata": {**manifest["metadata"], "uid": f"uid-{n}", "resourceVersion": "7"},
        }
        for n, manifest in enumerate(manifests)
        if manifest["kind"] != "Secret"
    }
