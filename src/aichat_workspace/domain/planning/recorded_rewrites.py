"""What a workspace's status says of objects that came back different from how they were applied."""

from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.kubernetes.rewrites import Rewrite
from aichat_workspace.domain.v1alpha1.workspace import Workspace


def recorded_rewrites(workspace: Workspace) -> dict[Ref, Rewrite]:
    """Return how objects came back when they were last written."""
    rewrites = {}
    for entry in workspace.status.rewrites:
        is_namespace = entry.kind == kinds.NAMESPACE.kind
        namespace = "" if is_namespace else workspace.spec.workspace_name
        target = Ref(entry.kind, namespace, entry.name)
        rewrites[target] = Rewrite(target, entry.fields, entry.revision)
    return rewrites
