"""Whether a workspace has servers: its tenant namespace, by its recorded UID, and that it runs."""

from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.foundation.metadata import annotations


def has_namespace(cluster: ClusterView, view: View) -> bool:
    """Whether the namespace of the workspace's name is there, and the workspace's.

    The API's account may read it although its callers may not: a resource that only names another
    namespace reveals nothing of it.
    """
    recorded = view.document["status"].get("namespace") or {}
    namespace = cluster.namespace(view.name)
    return (
        namespace is not None
        and namespace["metadata"]["uid"] == recorded.get("uid")
        and annotations(namespace).get(names.OWNER_UID_ANNOTATION) == view.document["uid"]
    )


def require_namespace(cluster: ClusterView, view: View) -> str:
    """Return the workspace's namespace. Raises ProblemError (409) while it has none."""
    if not has_namespace(cluster, view):
        raise ProblemError(
            409,
            "not-provisioned",
            f"Workspace {view.name!r} has no namespace yet, so there is nothing to look at. "
            f"GET /api/v1/workspaces/{view.name}/diagnosis says why.",
        )
    return view.name


def require_running(view: View, consequence: str) -> None:
    """Raise ProblemError (409) while the workspace is suspended, with what follows from that."""
    if view.document["spec"].get("suspended"):
        raise ProblemError(
            409,
            "suspended",
            f"Workspace {view.name!r} is suspended, so {consequence}. Resume it first.",
        )
    if view.document["status"].get("phase") == Phase.SUSPENDED:
        raise ProblemError(
            409,
            "suspended",
            f"The time of workspace {view.name!r} is over, so {consequence}. Raise or remove "
            "spec.expiresAfter first.",
        )
