"""Pods that block their own replacement."""

from collections.abc import Iterator

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import pods
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, is_deleting
from aichat_workspace.domain.planning.actions import Delete
from aichat_workspace.domain.planning.observed import Observed


def delete_blocked_pods(observed: Observed) -> Iterator[Delete]:
    """Delete pods that block their own replacement.

    A StatefulSet waits until a pod is ready before it replaces it, even one whose image or node
    will never exist.
    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    for reference, manifest in sorted(observed.objects.items()):
        if reference.kind != "StatefulSet" or (revision := _newest_revision(manifest)) is None:
            continue
        for pod in observed.pods:
            metadata = pod["metadata"]
            if (
                pods.is_controlled_by(pod, manifest["metadata"]["uid"])
                and metadata.get("labels", {}).get(names.REVISION_LABEL) != revision
                and not (pods.is_ready(pod) or is_deleting(pod))
            ):
                yield Delete(Ref("Pod", reference.namespace, metadata["name"]), metadata["uid"])


def _newest_revision(stateful_set: Manifest) -> str | None:
    """Return the revision its pods should have; None until its controller has seen the spec."""
    status = stateful_set.get("status", {})
    if status.get("observedGeneration", 0) < stateful_set["metadata"].get("generation", 0):
        return None
    revision: str | None = status.get("updateRevision")
    return revision
