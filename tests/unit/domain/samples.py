"""Plain data that domain tests start from."""

from datetime import UTC, datetime
from typing import Any

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.render import Credentials, render, tenant_namespace
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CREDENTIALS = Credentials("key", "admin@team-a-aichat.localtest.me", "password")


def workspace(name: str = "team-a-aichat", **changes: Any) -> Workspace:
    """The sample resource; `changes` replace spec fields, or the fields named in metadata."""
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
    return render(workspace(), platform or PlatformSpec(), CREDENTIALS)


def namespace(**metadata: Any) -> dict[str, Any]:
    """The tenant's namespace as the API server would hold it."""
    made = tenant_namespace(workspace())
    held = {**made["metadata"], "uid": "ns-1", "resourceVersion": "1", **metadata}
    return {**made, "metadata": held, "status": {"phase": "Active"}}


def held(manifests: tuple[Manifest, ...]) -> dict[Ref, Manifest]:
    """Objects as the API server would hold them, without its defaults."""
    return {
        ref(each): {
            **each,
            "metadata": {**each["metadata"], "uid": f"uid-{n}", "resourceVersion": "7"},
        }
        for n, each in enumerate(manifests)
        if each["kind"] != "Secret"
    }
