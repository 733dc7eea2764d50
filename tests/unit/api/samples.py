"""Sample workspaces: as resources and as views."""

from typing import Any, Final

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.workspaces.views import View, view
from aichat_workspace.domain import names

ANN: Final = Caller("ann", "1", ())


def resource(
    name: str = "team-a", *, team: str = "team", version: int = 1, **parts: Any
) -> dict[str, Any]:
    """Return an AIChatWorkspace; `parts` are further fields of its metadata, spec and status."""
    metadata = {
        "name": parts.pop("resource", name),
        "namespace": team,
        "uid": parts.pop("uid", f"uid-of-{name}"),
        "generation": parts.pop("generation", 1),
        "resourceVersion": str(version),
        "creationTimestamp": parts.pop("created", "2026-01-01T00:00:00Z"),
        "annotations": {"apps.aichatworkspaces.io/requested-by": parts.pop("owner", "ann")},
    }
    spec = {"workspaceName": name, **parts.pop("spec", {})}
    return {"metadata": metadata, "spec": spec, **parts}


def sample_view(name: str = "team-a", **parts: Any) -> View:
    """Return the view of a sample resource."""
    return view(resource(name, **parts))


OWN_NAMESPACE: Final = {
    "metadata": {
        "name": "team-a",
        "uid": "uid-of-namespace",
        "annotations": {names.OWNER_UID_ANNOTATION: "uid-of-team-a"},
    }
}
"""The namespace of `running_view`."""


def running_view() -> View:
    """Return the view of a sample that has a namespace of its own."""
    return sample_view(status={"namespace": {"name": "team-a", "uid": "uid-of-namespace"}})
