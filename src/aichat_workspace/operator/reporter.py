"""Writes what became of decisions into the status."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from aichat_workspace.domain.decision.decisions import (
    Expire,
    Finalize,
    Provision,
    Reject,
)
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.kubernetes.manifest import ref
from aichat_workspace.domain.planning.image_rollout import GRANTED, RolloutSlot, running_images
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.planning.volume_claims import sizes
from aichat_workspace.domain.policy.blocking import blocks_host
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.render.context import workspace_url
from aichat_workspace.domain.status.recheck import next_recheck
from aichat_workspace.domain.status.status import StatusInputs, compute_status, with_sync_problem
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus
from aichat_workspace.kube.controller import Result
from aichat_workspace.operator.executor import Outcome
from aichat_workspace.operator.failures import Failures
from aichat_workspace.operator.models.servers import ServerProgress
from aichat_workspace.operator.repair_log import RepairLog
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
    ) -> Result:
        """Report a tenant, and what became of its writes. Raises what `report` raises."""
        now, name = self.now(), decision.workspace.spec.workspace_name
        repairs = () if outcome.error else decision.repairs
        is_repeated = self.repair_log.note(name, repairs, now)
        problem = self._passing(decision.workspace, outcome, now)
        problem = problem or decision.delay or self.repair_log.problem(name)
        inputs = _inputs(snapshot, decision, outcome, observed, progress)
        inputs = replace(inputs, sync_problem=problem)
        status = compute_status(decision.workspace, inputs, now)
        is_written = await self.writer.report(decision.workspace, status, now)
        if outcome.error is not None:
            raise outcome.error
        recheck = next_recheck(status, observed, now)
        return Result.at_earliest(
            (
                decision.expires_in_seconds,
                recheck.total_seconds() if recheck else None,
                self.repair_log.ends_in_seconds(name, now),
            ),
            _REPEAT_COST
            if is_repeated or decision.steps
            else _WRITE_COST * bool(is_written or decision.actions),
        )

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
    target = snapshot.platform.images.resolved
    desired = tuple(ref(manifest) for manifest in decision.desired)
    slot = snapshot.rollout_slot if desired else GRANTED
    if outcome.is_stopped:
        # No workload was tried, so that no rollout stops for it.
        desired = tuple(sorted(observed.objects))
        slot = RolloutSlot(granted=running_images(observed) in (None, target))
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
        slot=slot,
        target=target,
        ingress_classes=snapshot.ingress_classes,
        sizes={} if outcome.is_stopped else sizes(decision.desired),
        is_expired=decision.is_expired,
    )
