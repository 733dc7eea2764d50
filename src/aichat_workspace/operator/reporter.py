"""Writes what became of decisions into the status."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from aichat_workspace.domain.decision.decisions import (
    Expire,
    Finalize,
    Provision,
    Reject,
)
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.kubernetes.manifest import ref
from aichat_workspace.domain.kubernetes.rewrites import Rewrite
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.recorded_rewrites import recorded_rewrites
from aichat_workspace.domain.planning.repairs import Repair
from aichat_workspace.domain.planning.volume_claims import sizes
from aichat_workspace.domain.policy.blocking import blocks_host
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.render.address import workspace_url
from aichat_workspace.domain.status.backups import overdue_at
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.recheck import next_recheck
from aichat_workspace.domain.status.status import compute_status, with_sync_problem
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus
from aichat_workspace.kube.controller import Result
from aichat_workspace.operator.executor import Outcome
from aichat_workspace.operator.failures import Failures
from aichat_workspace.operator.repair_log import Generations, RepairLog
from aichat_workspace.operator.servers.sync import ServerProgress
from aichat_workspace.operator.writer import Writer

_DELETION_RECHECK_SECONDS: Final = 30.0
# In tokens of kube.write_budgets: in the long run the same is put back six times a minute at most.
# A status, and what an edit of the spec asks for, is written twice a second, which is more than a
# download's progress.
_REPEAT_COST: Final = 1.0
_WRITE_COST: Final = 0.05


@dataclass(frozen=True, slots=True)
class Reporter:
    """Writes statuses that differ from the present ones."""

    writer: Writer
    now: Callable[[], datetime]
    failures: Failures = field(default_factory=Failures)
    repair_log: RepairLog = field(default_factory=RepairLog)

    async def report(
        self, decision: Reject | Expire | Finalize, outcome: Outcome, observed: Observed
    ) -> Result:
        """Report a resource that gets no tenant, and its outcome. Return when to look again.

        Raises:
            ApiError: a write was refused, of the decision or of the status; the queue retries.
            UnreachableError: the API server did not answer; the queue retries.
        """
        match decision:
            case Reject(workspace, rejection):
                is_written = await self._write(workspace, StatusInputs(url="", rejection=rejection))
                return Result(decision.expires_in_seconds, _WRITE_COST * is_written)
            case Expire(workspace):
                if outcome.failure is not None:
                    await self.report_sync_problem(workspace, outcome.failure)
                if outcome.error is not None:
                    raise outcome.error
                return Result()
            case Finalize(workspace):
                return await self._report_end(workspace, decision, outcome, observed)

    async def report_provision(
        self,
        snapshot: Snapshot,
        decision: Provision,
        outcome: Outcome,
        observed: Observed,
        progress: ServerProgress,
        *,
        is_written: bool = True,
    ) -> tuple[WorkspaceStatus, Result]:
        """Report a tenant, and what became of its writes. Return the status, and when to look
        again. Raises ApiError and UnreachableError when the status can't be written.

        `is_written` is False where the writes are still to come.
        """
        now, name = self.now(), decision.workspace.spec.workspace_name
        is_tried = is_written and not outcome.is_stopped
        repairs = _repairs(decision, outcome) if is_tried and not outcome.error else ()
        generations = Generations(decision.workspace.generation, snapshot.platform_generation)
        is_repeated = self.repair_log.note(name, generations, repairs, now)
        problem = self._passing(decision.workspace, outcome, now)
        problem = problem or decision.delay or self.repair_log.problem(name)
        inputs = replace(
            _inputs(snapshot, decision, outcome, observed, progress),
            # After an error that passes, nothing is known of a change yet.
            is_written=is_tried and (outcome.failure is not None or outcome.error is None),
            rewrites=_rewrites(decision, outcome, is_tried=is_tried),
            sync_problem=problem,
        )
        status = compute_status(decision.workspace, inputs, now)
        has_moved = await self.writer.report(decision.workspace, status, now)
        due = overdue_at(decision.workspace, status.backup, observed)
        recheck = next_recheck(status, observed, now, due)
        result = Result.at_earliest(
            (
                decision.expires_in_seconds,
                recheck.total_seconds() if recheck else None,
                self.repair_log.ends_in_seconds(name, now),
            ),
            _REPEAT_COST
            if is_repeated or decision.steps
            else _WRITE_COST * bool(has_moved or decision.actions),
        )
        return status, result

    async def report_sync_problem(self, workspace: Workspace, problem: Problem) -> None:
        """Report why the operator can't keep a workspace, and leave the rest of its status."""
        now = self.now()
        await self.writer.report(workspace, with_sync_problem(workspace, problem, now), now)

    def _passing(self, workspace: Workspace, outcome: Outcome, now: datetime) -> Problem | None:
        if outcome.error is None:
            return None
        return self.failures.passing(workspace.uid, outcome.error, now)

    async def report_progress(self, workspace: Workspace, status: WorkspaceStatus) -> None:
        """Write a status with the progress of downloads. Raises ApiError or UnreachableError."""
        await self.writer.report(workspace, status, self.now())

    async def _report_end(
        self, workspace: Workspace, decision: Finalize, outcome: Outcome, observed: Observed
    ) -> Result:
        if decision.ends_tenant and (decision.awaits_namespace or outcome.failure):
            inputs = StatusInputs(
                url=workspace.status.url or "",
                observed=observed,
                failure=outcome.failure,
                sync_problem=self._passing(workspace, outcome, self.now()),
            )
            await self._write(workspace, inputs)
        if outcome.error is not None:
            raise outcome.error
        # Only time tells that something holds the namespace.
        return Result(_DELETION_RECHECK_SECONDS if decision.awaits_namespace else None)

    async def _write(self, workspace: Workspace, inputs: StatusInputs) -> bool:
        now = self.now()
        return await self.writer.report(workspace, compute_status(workspace, inputs, now), now)


def _inputs(
    snapshot: Snapshot,
    decision: Provision,
    outcome: Outcome,
    observed: Observed,
    progress: ServerProgress,
) -> StatusInputs:
    desired = tuple(ref(manifest) for manifest in decision.desired)
    if outcome.is_stopped:
        desired = tuple(sorted(observed.objects))  # no other was tried
    blocked = blocks_host(decision.problems)
    failures = (*decision.problems, *filter(None, (outcome.failure, decision.obstacle)))
    url = workspace_url(decision.workspace.spec, snapshot.platform)
    if "ingress" in snapshot.unknown_settings:
        url = decision.workspace.status.url or ""
    return StatusInputs(
        url="" if blocked else url,
        desired=desired,
        observed=observed,
        failure=next(iter(failures), None),
        models=progress.models.models,
        patterns=progress.models.patterns,
        refreshed=progress.models.refreshed,
        tools=progress.tools,
        activity=progress.activity,
        pods=decision.pods,
        turn_deadline=timedelta(seconds=snapshot.platform.upgrades.turn_deadline_seconds),
        ingress_classes=snapshot.ingress_classes,
        sizes={} if outcome.is_stopped else sizes(decision.desired),
        is_expired=decision.is_expired,
        restore=decision.restore,
        backup_destination="" if decision.backup_problem else _destination(decision.workspace),
        has_snapshots=decision.has_snapshots,
        backup_problem=decision.backup_problem,
    )


def _destination(workspace: Workspace) -> str:
    """Return where its backups go, which the decision has filled in."""
    return (workspace.spec.backup.destination or "") if workspace.spec.backup else ""


def _rewrites(decision: Provision, outcome: Outcome, *, is_tried: bool) -> tuple[Rewrite, ...]:
    """What came back different now, and what is still as it came back earlier."""
    rewrites = {rewrite.ref: rewrite for rewrite in outcome.rewrites}
    for target, rewrite in recorded_rewrites(decision.workspace).items():
        if not is_tried or target in decision.rewritten | decision.pods.frozen:
            rewrites.setdefault(target, rewrite)
    return tuple(rewrites[target] for target in sorted(rewrites))


def _repairs(decision: Provision, outcome: Outcome) -> tuple[Repair, ...]:
    """What was put back. An object that a webhook has just rewritten for the first time is no
    work of somebody who keeps changing it."""
    recorded = {rewrite.revision for rewrite in recorded_rewrites(decision.workspace).values()}
    new = {rewrite.ref for rewrite in outcome.rewrites if rewrite.revision not in recorded}
    return tuple(repair for repair in decision.repairs if repair.ref not in new)
