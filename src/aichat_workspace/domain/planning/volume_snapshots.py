"""Backups that are snapshots of the chat's volume: VolumeSnapshots in its namespace.

A run of the backup program checks the databases; once it has ended well, the operator has the CSI
driver make a snapshot (https://kubernetes.io/docs/concepts/storage/volume-snapshots/). A backup's
name begins with the time at which that was asked for, so it never says an earlier one.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import job_ends, quantity
from aichat_workspace.domain.kubernetes.job_ends import JobState
from aichat_workspace.domain.kubernetes.kinds import VOLUME_SNAPSHOT
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, is_deleting, ref
from aichat_workspace.domain.planning import volume_claims
from aichat_workspace.domain.planning.actions import Delete
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render.context import NewSnapshot, RestoredVolume
from aichat_workspace.domain.v1alpha1.backup import MAX_LISTED, BackupEntry
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.foundation.metadata import annotations

_TOKEN_LENGTH: Final = 8
_OWN_NAME: Final = re.compile(rf"-backup-[0-9a-f]{{{_TOKEN_LENGTH}}}$")


def present(observed: Observed) -> list[Manifest]:
    """Return the workspace's snapshots that are not being deleted, the oldest first."""
    snapshots = [snapshot for snapshot in _all(observed) if not is_deleting(snapshot)]
    return sorted(snapshots, key=backup_name)


def backup_name(snapshot: Manifest) -> str:
    """Return the backup's name: when the snapshot was asked for, and what tells it from others."""
    token = str(snapshot["metadata"]["name"])[-_TOKEN_LENGTH:]
    return f"{job_ends.created_at(snapshot):%Y%m%dT%H%M%SZ}-{token}"


def is_ready(snapshot: Manifest) -> bool:
    """Whether a volume can be made from it."""
    return bool(_status(snapshot).get("readyToUse"))


def is_cut(snapshot: Manifest) -> bool:
    """Whether what is written from now on is not in it."""
    return is_ready(snapshot) or bool(_status(snapshot).get("creationTime"))


def error_of(snapshot: Manifest) -> str:
    """Return why it could not be made so far, in the driver's words; empty for nothing."""
    if is_ready(snapshot):
        return ""
    error = _status(snapshot).get("error")
    return str(error.get("message") or "no message") if error else ""


def entries(observed: Observed) -> tuple[BackupEntry, ...]:
    """Return the newest backups that can be restored, the newest first."""
    whole = [snapshot for snapshot in present(observed) if is_ready(snapshot)]
    return tuple(
        BackupEntry(
            name=backup_name(snapshot),
            size_bytes=int(_restore_bytes(snapshot)),
            open_webui=annotations(snapshot).get(names.IMAGE_ANNOTATION, ""),
        )
        for snapshot in whole[: -MAX_LISTED - 1 : -1]
    )


def asks_for_snapshot(job: Manifest) -> bool:
    """Whether a run of the backup program only checks the data, for a snapshot that follows."""
    return names.SNAPSHOT_CLASS_ANNOTATION in annotations(job)


def snapshot_of(run: Manifest, observed: Observed) -> Manifest | None:
    """Return the snapshot that a run which ended well has: its own, or one that was asked for since
    then; also one that is being deleted."""
    namespace, uid = run["metadata"]["namespace"], run["metadata"]["uid"]
    own = Ref(VOLUME_SNAPSHOT.kind, namespace, names.volume_snapshot(namespace, uid))
    if own in observed.objects:
        return observed.objects[own]
    ended = job_ends.ended_at(run)
    later = (
        snapshot
        for snapshot in present(observed)
        if ended is not None and job_ends.created_at(snapshot) >= ended
    )
    return next(later, None)


def new_snapshot(workspace: Workspace, observed: Observed) -> NewSnapshot | None:
    """Return the snapshot that the last run which ended well waits for; None for none.

    One that a run has had is not made again, although it may be gone by now: then the status has
    the time of it.
    """
    whole = [
        job
        for job in observed.jobs
        if asks_for_snapshot(job)
        and not is_deleting(job)
        and job_ends.state(job) is JobState.COMPLETE
    ]
    last = max(whole, key=lambda job: str(job_ends.ended_at(job)), default=None)
    if last is None or snapshot_of(last, observed) is not None or has_had_snapshot(last, workspace):
        return None
    return NewSnapshot(
        names.volume_snapshot(workspace.spec.workspace_name, last["metadata"]["uid"]),
        annotations(last)[names.SNAPSHOT_CLASS_ANNOTATION],
    )


def has_had_snapshot(run: Manifest, workspace: Workspace) -> bool:
    """Whether the status says that a backup was made after the run's end."""
    record, ended = workspace.status.backup, job_ends.ended_at(run)
    succeeded = record.succeeded_at if record else None
    return succeeded is not None and ended is not None and succeeded >= ended


def pruned(observed: Observed) -> Iterator[Delete]:
    """Yield the deletion of old snapshots, and of those that never became ready before a newer one.

    How many stay, the newest that is ready says: another number in the spec counts from the next
    backup on, so that no edit deletes any.
    """
    snapshots = present(observed)
    whole = [snapshot for snapshot in snapshots if is_ready(snapshot)]
    if not whole:
        return
    keep = annotations(whole[-1]).get(names.KEEP_ANNOTATION, "")
    if not keep.isdigit() or not int(keep):
        return  # of somebody else
    stays = whole[-int(keep) :]
    newest = backup_name(whole[-1])
    for snapshot in snapshots:
        is_old = is_ready(snapshot) or (not is_cut(snapshot) and backup_name(snapshot) < newest)
        if is_old and snapshot not in stays:
            yield Delete(ref(snapshot), snapshot["metadata"]["uid"])


def find(backup: str, observed: Observed) -> Manifest | None:
    """Return the snapshot of a backup's name that can be restored; None where there is none."""
    return next(
        (
            snapshot
            for snapshot in present(observed)
            if is_ready(snapshot) and backup_name(snapshot) == backup
        ),
        None,
    )


def unfinished(observed: Observed) -> list[Manifest]:
    """Return the snapshots that a write to the data may still change, also those being deleted."""
    return [snapshot for snapshot in _all(observed) if not is_cut(snapshot)]


def _all(observed: Observed) -> Iterator[Manifest]:
    """Yield the snapshots that have names of the operator's."""
    for reference, manifest in sorted(observed.objects.items()):
        if reference.kind == VOLUME_SNAPSHOT.kind and _OWN_NAME.search(reference.name):
            yield manifest


def failure_of(snapshot: Manifest) -> Problem:
    """Return why a snapshot is not made."""
    name = snapshot["metadata"]["name"]
    return Problem(
        Reason.BACKUP_SNAPSHOT_FAILED,
        f"VolumeSnapshot {name}: {error_of(snapshot)}; the platform team mends what it names, with "
        "the snapshot controller and the CSI driver, which try again; once the VolumeSnapshot is "
        "deleted, it is made anew",
    )


def why_waiting(snapshot: Manifest) -> str:
    """Return what a snapshot that has not failed waits for."""
    name = snapshot["metadata"]["name"]
    if _status(snapshot):
        return f"VolumeSnapshot {name} is not ready to use yet"
    return f"VolumeSnapshot {name} waits for the cluster's snapshot controller"


def restored_volume(workspace: str, backup: str, observed: Observed, size: str) -> RestoredVolume:
    """Return the volume that a restore copies from: never smaller than the snapshot needs, nor than
    the chat's volume, and of its class, for another driver can't read the snapshot.

    `size` is that of a chat's volume which is still to be made.
    """
    token = backup[-_TOKEN_LENGTH:]
    name = f"{names.backup(workspace)}-{token}"
    claim = observed.objects.get(Ref(volume_claims.CLAIM, workspace, names.openwebui(workspace)))
    snapshot = observed.objects.get(Ref(VOLUME_SNAPSHOT.kind, workspace, name))
    sizes = [quantity.parse(size)]
    if claim is not None:
        capacity = (claim.get("status") or {}).get("capacity") or {}
        sizes += [quantity.parse(volume_claims.size(claim))]
        sizes += [quantity.parse(capacity.get("storage", "0"))]
    if snapshot is not None:
        sizes += [_restore_bytes(snapshot)]
    class_name = claim["spec"].get("storageClassName") if claim else None
    return RestoredVolume(name, quantity.size(max(sizes)), class_name)


def moment(snapshot: Manifest, run: Manifest) -> datetime:
    """Return when the run's backup was made. Two clocks tell of it: the later one counts."""
    created, ended = job_ends.created_at(snapshot), job_ends.ended_at(run)
    return max(created, ended) if ended else created


def newest(observed: Observed) -> datetime | None:
    """Return when the newest snapshot that can be restored was asked for; None without one."""
    whole = [snapshot for snapshot in present(observed) if is_ready(snapshot)]
    return job_ends.created_at(whole[-1]) if whole else None


def _restore_bytes(snapshot: Manifest) -> Fraction:
    """Return how large a volume it needs; 0 where the driver does not say."""
    return quantity.parse(_status(snapshot).get("restoreSize") or 0)


def _status(snapshot: Manifest) -> dict[str, Any]:
    return snapshot.get("status") or {}
