"""Workspaces as the API server holds them, and as the API shows them."""

from typing import Any

from aichat_workspace.api.workspaces.views import View, view


def resource(
    name: str = "team-a", *, team: str = "team", version: int = 1, **more: Any
) -> dict[str, Any]:
    """An AIChatWorkspace; `more` replaces its other parts."""
    metadata = {
        "name": more.pop("resource", name),
        "namespace": team,
        "uid": more.pop("uid", f"uid-of-{name}"),
        "generation": more.pop("generation", 1),
        "resourceVersion": str(version),
        "creationTimestamp": more.pop("created", "2026-01-01T00:00:00Z"),
        "annotations": {"apps.aichatworkspaces.io/requested-by": more.pop("owner", "ann")},
    }
    spec = {"workspaceName": name, **more.pop("spec", {})}
    return {"metadata": metadata, "spec": spec, **more}


def shown(name: str = "team-a", **more: Any) -> View:
    return view(resource(name, **more))
