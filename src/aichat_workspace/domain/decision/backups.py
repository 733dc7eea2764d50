"""Decide whether runs of the backup program can be made, and from what they are rendered."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.job_ends import has_ended, is_controlled
from aichat_workspace.domain.kubernetes.kinds import VOLUME_CLAIM
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, is_deleting
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.restore import is_cancelled, is_due, is_restore
from aichat_workspace.domain.planning.volume_snapshots import entries, find, new_snapshot
from aichat_workspace.domain.policy import backups, snapshot_classes
from aichat_workspace.domain.policy.blocking import is_certain
from aichat_workspace.domain.policy.effective_spec import has_backup_runs
from aichat_workspace.domain.policy.secret_references import BACKUP, RESTORE, ReferencedSecret
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render.context import Backups
from aichat_workspace.domain.v1alpha1.backup import BackupDestination, SnapshotStore
from aichat_workspace.domain.v1alpha1.workspace import Workspace


@dataclass(frozen=True, slots=True)
class BackupDecision:
    """What is rendered of backups and restores."""

    backups: Backups | None = None
    """None where the workspace asks for none, or none can be made."""
    secret: ReferencedSecret | None = None
    """The keys and the passphrase, while something is there to use them."""
    problem: Problem | None = None
    """Why no backup can be made."""
    restore_secret: ReferencedSecret | None = None
    """The same, for a restore."""
    restore_problem: Problem | None = None
    """Why nothing can be restored."""

    @property
    def destination(self) -> str:
        place = self.backups.destination if self.backups else None
        return place.name if place else ""

    @property
    def referenced(self) -> dict[str, ReferencedSecret]:
        """The Secrets by their purpose."""
        secrets = {BACKUP: self.secret, RESTORE: self.restore_secret}
        return {purpose: secret for purpose, secret in secrets.items() if secret}


NO_BACKUPS = BackupDecision()


def decide_backups(workspace: Workspace, snapshot: Snapshot) -> BackupDecision:
    """Return what is rendered of backups for a workspace as it was written.

    Its backups and what it restores may be in different destinations, so what is wrong with one
    leaves the other alone.
    """
    spec = workspace.spec
    if not has_backup_runs(spec):
        return NO_BACKUPS
    wish = (spec, workspace.namespace, snapshot.platform)
    place, secret, problem = None, None, None
    if spec.backup is not None:
        place, secret, problem = _usable(*backups.destination(*wish), workspace, snapshot)
    origin, restore_secret, restore_problem = None, None, None
    if spec.restore is not None:
        origin, restore_secret, restore_problem = _usable(
            *backups.origin(*wish), workspace, snapshot
        )
    if place is None and origin is None:
        return BackupDecision(problem=problem, restore_problem=restore_problem)
    is_requested = place is not None and _is_requested(workspace, snapshot)
    has_schedule = spec.backup is not None and bool(spec.backup.schedule)
    snapshot_class = ""
    if place is not None and place.snapshot is not None:
        snapshot_class, _ = _snapshot_class(workspace, place.snapshot, snapshot)
    return BackupDecision(
        Backups(
            destination=place,
            image=snapshot.backup_image,
            team=workspace.namespace,
            resource=resource_text(workspace),
            is_requested=is_requested,
            origin=origin,
            snapshot_class=snapshot_class,
            new_snapshot=new_snapshot(workspace, snapshot.observed) if place else None,
        ),
        secret if has_schedule or is_requested else None,
        problem,
        restore_secret if is_due(workspace) else None,
        restore_problem,
    )


def _snapshot_class(
    workspace: Workspace, store: SnapshotStore, snapshot: Snapshot
) -> tuple[str, Problem | None]:
    name = workspace.spec.workspace_name
    claim = snapshot.observed.objects.get(Ref(VOLUME_CLAIM.kind, name, names.openwebui(name)))
    storage_class = (
        claim["spec"].get("storageClassName")
        if claim
        else workspace.spec.storage.open_webui.storage_class_name
        or snapshot.platform.storage_class_name
    )
    return snapshot_classes.snapshot_class(
        store.volume_snapshot_class_name,
        storage_class,
        snapshot.storage_classes,
        snapshot.snapshot_classes,
    )


def missing_backup(
    workspace: Workspace, place: BackupDestination, observed: Observed
) -> Problem | None:
    """Return why spec.restore can't be carried out from this destination, as far as is seen."""
    target, name = workspace.spec.restore, workspace.spec.workspace_name
    if target is None:
        return None
    if problem := backups.reach_problem(place, target.source, name):
        return problem
    if place.snapshot is None or find(target.backup, observed) is not None:
        return None
    newest = next((entry.name for entry in entries(observed)), "none")
    return Problem(
        Reason.BACKUP_NOT_FOUND,
        f"namespace {name!r} has no VolumeSnapshot for backup {target.backup!r} that is ready; the "
        f"newest is {newest}; correct spec.restore.backup, or name the destination that it is in, "
        "in spec.restore.destination",
        "spec.restore.backup",
    )


def _usable(
    place: BackupDestination | None,
    problem: Problem | None,
    workspace: Workspace,
    snapshot: Snapshot,
) -> tuple[BackupDestination | None, ReferencedSecret | None, Problem | None]:
    """Return the destination with its keys, or what is wrong; neither while that is not known."""
    secret = None
    if place is not None:
        settings = snapshot.platform.backup
        secret, problem = backups.resolve_secret(place, settings, snapshot.secrets.get)
    problem = problem or image_problem(snapshot)
    if place is not None and place.snapshot is not None and problem is None:
        _, problem = _snapshot_class(workspace, place.snapshot, snapshot)
    if place is None or problem is not None:
        is_shown = problem is not None and is_certain(problem, snapshot.unknown_settings)
        return None, None, problem if is_shown else None
    return place, secret, None


def ended_runs(
    of_backups: BackupDecision, workspace: Workspace, jobs: Iterable[Manifest]
) -> Iterator[Manifest]:
    """Yield the Jobs whose destination can't be had any more, where that of others can. What ends a
    restore that was given up needs none."""
    if of_backups.backups is None:
        return
    name = workspace.spec.workspace_name
    for job in jobs:
        is_of_restore = is_restore(job, name)
        if is_of_restore and is_cancelled(workspace):
            continue
        place = of_backups.backups.origin if is_of_restore else of_backups.backups.destination
        problem = of_backups.restore_problem if is_of_restore else of_backups.problem
        if place is None and problem and not is_controlled(job) and not is_deleting(job):
            yield job


def resource_text(workspace: Workspace) -> str:
    """Return the AIChatWorkspace as JSON, as a person wrote it.

    It has nothing that programs write, so that a status never changes what is rendered from it. Nor
    has it spec.restore: a workspace that is brought back from it restores what its person names.
    """
    spec = workspace.own_spec.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"restore"}
    )
    metadata = {
        "name": workspace.name,
        "namespace": workspace.namespace,
        **({"labels": dict(workspace.labels)} if workspace.labels else {}),
    }
    resource = {
        "apiVersion": names.API_VERSION,
        "kind": kinds.WORKSPACE.kind,
        "metadata": metadata,
        "spec": spec,
    }
    return orjson.dumps(resource).decode()


def _is_requested(workspace: Workspace, snapshot: Snapshot) -> bool:
    """Whether spec.backup.request asks for a run that has not begun, or is not known to have.

    One that has ended is not made again before its Job goes by itself.
    """
    spec, record = workspace.spec.backup, workspace.status.backup
    if spec is None or not spec.request or (record and record.request == spec.request):
        return False
    name = workspace.spec.workspace_name
    job = snapshot.observed.objects.get(
        Ref(kinds.JOB.kind, name, names.backup_run(name, spec.request))
    )
    return job is None or not has_ended(job)


def image_problem(snapshot: Snapshot) -> Problem | None:
    """Return why no run at all can be made."""
    if snapshot.backup_image:
        return None
    return Problem(
        Reason.BACKUP_IMAGE_UNKNOWN,
        "the operator runs in no pod, so it does not know which image has the backup program; "
        "start it with BACKUP_IMAGE in its environment",
    )
