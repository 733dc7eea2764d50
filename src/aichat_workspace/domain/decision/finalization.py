"""How a resource ends: with its namespace, or leaving it behind."""

from collections.abc import Iterator
from typing import Final

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.decisions import Finalize
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.decision.steps import (
    AnnounceRetained,
    ClaimNamespace,
    ConfirmNamespaceGone,
    DeleteNamespace,
    DeleteSecret,
    RemoveFinalizer,
    Step,
)
from aichat_workspace.domain.kubernetes.job_ends import has_begun
from aichat_workspace.domain.kubernetes.kinds import (
    CRON_JOB,
    JOB,
    ROUTE_KINDS,
    SECRET,
    WORKLOAD_KINDS,
)
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, is_deleting, ref
from aichat_workspace.domain.planning.actions import Delete, Scale
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.secret_copies import (
    backup_copies,
    recorded_copies,
    with_record,
)
from aichat_workspace.domain.policy.ownership import owns
from aichat_workspace.domain.render import retained_namespace
from aichat_workspace.domain.render.credentials import belongs_to
from aichat_workspace.domain.render.namespace_metadata import present_metadata
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import DeletionPolicy

_DELETED: Final = ROUTE_KINDS | {CRON_JOB.kind}


def finalize(workspace: Workspace, snapshot: Snapshot) -> Finalize:
    """End the workspace: the namespace goes first and takes all objects along, or it stays."""
    namespace = snapshot.observed.namespace
    steps: tuple[Step, ...]
    if names.FINALIZER not in workspace.finalizers:
        steps = ()
    elif namespace is None:
        steps = (ConfirmNamespaceGone(), *_release(workspace, snapshot))
    elif not owns(workspace, namespace):
        steps = (*_release(workspace, snapshot),)
    elif _is_retained(workspace, snapshot):
        steps = (*_retain(workspace, namespace, snapshot.observed),)
    else:
        return Finalize(workspace, (DeleteNamespace(namespace),), awaits_namespace=True)
    return Finalize(workspace, steps)


def _is_retained(workspace: Workspace, snapshot: Snapshot) -> bool:
    """The platform's switch counts for every workspace. Data are never deleted while it is not
    known."""
    return (
        workspace.spec.deletion_policy is DeletionPolicy.RETAIN
        or snapshot.platform.deletion.retain_all
        or "deletion" in snapshot.unknown_settings
    )


def release(workspace: Workspace, snapshot: Snapshot) -> Finalize:
    """End a resource whose tenant is another's: only its credentials are left."""
    return Finalize(workspace, (*_release(workspace, snapshot),), ends_tenant=False)


def stops(observed: Observed) -> Iterator[Delete | Scale]:
    """Yield the steps that stop the workloads and backups, and free the host.

    The keys of backups go first: what names them goes afterwards.
    """
    if observed.namespace is not None:
        namespace = observed.namespace["metadata"]["name"]
        for name in sorted(backup_copies(observed.namespace, observed.objects.items())):
            yield Delete(Ref(SECRET.kind, namespace, name), None)
    for manifest in observed.objects.values():
        is_pending = manifest["kind"] == JOB.kind and not has_begun(manifest, observed.pods)
        if (manifest["kind"] in _DELETED or is_pending) and not is_deleting(manifest):
            yield Delete(ref(manifest), manifest["metadata"]["uid"])
        if manifest["kind"] in WORKLOAD_KINDS and manifest["spec"].get("replicas") != 0:
            yield Scale(ref(manifest))


def _release(workspace: Workspace, snapshot: Snapshot) -> Iterator[Step]:
    if names.FINALIZER not in workspace.finalizers:
        return
    secret = snapshot.secrets.get(names.credentials(workspace.spec.workspace_name))
    if secret is not None and belongs_to(secret, workspace):
        yield DeleteSecret(secret)
    yield RemoveFinalizer()


def _retain(workspace: Workspace, namespace: Manifest, observed: Observed) -> Iterator[Step]:
    """Stop the workloads, free the host, mark the namespace and let it go. The credentials stay:
    the next workspace of the namespace finds the chat's users and sessions as they were."""
    yield from stops(observed)
    if "deletionTimestamp" not in namespace["metadata"]:
        uid = namespace["metadata"]["uid"]
        body = with_record(
            retained_namespace(workspace, present_metadata(namespace)),
            recorded_copies(namespace) - backup_copies(namespace),
        )
        yield ClaimNamespace(body, uid, "retained")
        yield AnnounceRetained(uid)
    yield RemoveFinalizer()
