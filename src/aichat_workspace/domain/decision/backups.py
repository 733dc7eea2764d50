"""Decide whether runs of the backup program can be made, and from what they are rendered."""

from dataclasses import dataclass

import orjson

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.job_ends import has_ended
from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.planning.restore import is_due
from aichat_workspace.domain.policy import backups
from aichat_workspace.domain.policy.blocking import is_certain
from aichat_workspace.domain.policy.effective_spec import has_backup_runs
from aichat_workspace.domain.policy.secret_references import BACKUP, ReferencedSecret
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render.context import Backups
from aichat_workspace.domain.v1alpha1.workspace import Workspace


@dataclass(frozen=True, slots=True)
class BackupDecision:
    """What is rendered of backups."""

    backups: Backups | None = None
    """None where the workspace asks for none, or none can be made."""
    secret: ReferencedSecret | None = None
    """The keys and the passphrase, while something is there to use them."""
    problem: Problem | None = None
    """Why none can be made."""

    @property
    def destination(self) -> str:
        place = self.backups.destination if self.backups else None
        return place.name if place else ""

    @property
    def referenced(self) -> dict[str, ReferencedSecret]:
        """The Secret by its purpose."""
        return {BACKUP: self.secret} if self.secret else {}


NO_BACKUPS = BackupDecision()


def decide_backups(workspace: Workspace, snapshot: Snapshot) -> BackupDecision:
    """Return what is rendered of backups for a workspace as it was written."""
    if not has_backup_runs(workspace.spec):
        return NO_BACKUPS
    platform = snapshot.platform
    place, problem = backups.destination(workspace.spec, workspace.namespace, platform)
    secret = None
    if place is not None:
        secret, problem = backups.resolve_secret(place, platform.backup, snapshot.secrets.get)
    if problem is None:
        problem = image_problem(snapshot)
    if place is None or problem is not None:
        is_shown = problem is not None and is_certain(problem, snapshot.unknown_settings)
        return BackupDecision(problem=problem if is_shown else None)
    is_requested = _is_requested(workspace, snapshot)
    has_schedule = workspace.spec.backup is not None and bool(workspace.spec.backup.schedule)
    return BackupDecision(
        Backups(
            destination=place,
            image=snapshot.backup_image,
            team=workspace.namespace,
            resource=resource_text(workspace),
            is_requested=is_requested,
        ),
        secret if has_schedule or is_requested or is_due(workspace) else None,
    )


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
