"""Namespaces whose resource is gone: told, and stopped after a grace, never deleted.

A resource is only gone without its namespace where somebody took its finalizer off, restored the
namespace from a backup, or removed the CustomResourceDefinition.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.decisions import Orphan
from aichat_workspace.domain.decision.finalization import stops
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.decision.steps import (
    AnnounceOrphan,
    ClaimNamespace,
    ConfirmResourceGone,
    OrphanStep,
)
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.planning.secret_copies import (
    backup_copies,
    recorded_copies,
    with_record,
)
from aichat_workspace.domain.policy.ownership import is_orphaned, may_take_over
from aichat_workspace.domain.render import orphaned_namespace, retained_orphan
from aichat_workspace.domain.v1alpha1.workspace import Workspace


def find_orphan(snapshot: Snapshot, holder: Workspace | None, now: datetime) -> Orphan | None:
    """Return what becomes of the namespace, if its resource is gone."""
    namespace = snapshot.observed.namespace
    if namespace is None:
        return None
    if not is_orphaned(namespace, [claimant.uid for claimant in snapshot.claimants]):
        return None
    if holder is not None and may_take_over(holder, namespace):
        return None
    grace = timedelta(hours=snapshot.platform.deletion.orphan_grace_hours)
    since = _orphaned_since(namespace)
    if since is None:
        return Orphan(namespace, (*_tell(namespace, now, grace),), grace.total_seconds())
    remaining = since + grace - now
    if remaining > timedelta(0) or "deletion" in snapshot.unknown_settings:
        return Orphan(namespace, (), max(remaining, timedelta(minutes=1)).total_seconds())
    return Orphan(namespace, (*_stop(namespace, snapshot),))


def _orphaned_since(namespace: Manifest) -> datetime | None:
    """Return when it was found; None for a time that is another owner's or can't be read."""
    marks = namespace["metadata"]["annotations"]
    text, _, owner_uid = marks.get(names.ORPHANED_ANNOTATION, "").partition(" ")
    try:
        since = datetime.fromisoformat(text)
    except ValueError:
        return None
    return since if since.tzinfo and owner_uid == marks[names.OWNER_UID_ANNOTATION] else None


def _tell(namespace: Manifest, now: datetime, grace: timedelta) -> Iterator[OrphanStep]:
    yield ConfirmResourceGone(namespace)
    yield ClaimNamespace(
        _with_copies(orphaned_namespace(namespace, now), namespace), _uid(namespace), "orphaned"
    )
    yield AnnounceOrphan(
        namespace,
        "Orphaned",
        f"its AIChatWorkspace {_owner(namespace)} is gone, and it runs on; it is stopped at "
        f"{(now + grace).isoformat()}, with all data kept. To have it back, create the resource "
        "again and follow its status; or delete this namespace",
    )


def _stop(namespace: Manifest, snapshot: Snapshot) -> Iterator[OrphanStep]:
    yield ConfirmResourceGone(namespace)
    yield from stops(snapshot.observed)
    copies = recorded_copies(namespace) - backup_copies(namespace)
    body = with_record(retained_orphan(namespace), copies)
    yield ClaimNamespace(body, _uid(namespace), "retained")
    yield AnnounceOrphan(
        namespace,
        "OrphanStopped",
        f"its AIChatWorkspace {_owner(namespace)} is gone, so it was stopped, with all data kept; "
        f"a workspace of this name and team takes it over with spec.namespaceUID {_uid(namespace)}",
    )


def _with_copies(body: Manifest, namespace: Manifest) -> Manifest:
    """Keep the record of the Secrets' copies: the next owner removes those that it does not use."""
    return with_record(body, recorded_copies(namespace))


def _owner(namespace: Manifest) -> str:
    marks = namespace["metadata"]["annotations"]
    uid = marks[names.OWNER_UID_ANNOTATION]
    return f"{marks.get(names.OWNER_ANNOTATION, '')} with the UID {uid}".lstrip()


def _uid(namespace: Manifest) -> str:
    return str(namespace["metadata"]["uid"])
