"""One reconcile is one trip: snapshot, decide, execute, report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from aichat_workspace.domain.decision.decide import decide
from aichat_workspace.domain.decision.decisions import (
    Decision,
    Finalize,
    Orphan,
    Provision,
)
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.rollout import Rollout
from aichat_workspace.domain.render.context import NO_CREDENTIALS
from aichat_workspace.domain.status.status import with_progress
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus
from aichat_workspace.kube.controller import Result
from aichat_workspace.kube.errors import ApiError, UnreachableError
from aichat_workspace.operator.executor import DONE, Executor, Outcome
from aichat_workspace.operator.reporter import Reporter
from aichat_workspace.operator.rollouts import Rollouts
from aichat_workspace.operator.servers.sync import ServerSync
from aichat_workspace.operator.snapshots import Snapshots

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings one workspace, by its workspaceName, to what its resource says.

    Several resources may name one workspace, so the name is the key: whatever works on it sees all
    of them.
    """

    snapshots: Snapshots
    executor: Executor
    servers: ServerSync
    reporter: Reporter
    rollouts: Rollouts
    now: Callable[[], datetime]

    async def reconcile(self, name: str) -> Result:
        """Raises ApiError or UnreachableError when a write failed; the queue retries."""
        try:
            result = await self._reconcile(name)
        except (ApiError, UnreachableError):
            raise  # reported where it came up
        except Exception as error:
            await self._report_crash(name, error)
            raise
        finally:
            self.rollouts.offer()
        self.reporter.failures.forget_crashes(name)
        return result

    async def _reconcile(self, name: str) -> Result:
        self.rollouts.see(name)
        snapshot = self.snapshots.take(name)
        decisions = decide(snapshot, self.now())
        # Before others reconcile while this one writes.
        self.rollouts.put(name, self._rollout(decisions))
        if not decisions:
            self.servers.forget(name)
        return await self._carry_out_all(name, snapshot, decisions)

    def _rollout(self, decisions: Sequence[Decision]) -> Rollout | None:
        holders = (decision for decision in decisions if isinstance(decision, Provision))
        return next(map(self.rollouts.decided, holders), None)

    async def report_progress(self, name: str) -> Result:
        """Write how far the downloads are, without rendering or planning anything.

        Reconciles where more than that has changed. Raises what `reconcile` raises.
        """
        holder, report = self.snapshots.holder(name), self.servers.models.report(name)
        status = (
            with_progress(holder, report.models, report.patterns) if holder and report else None
        )
        if holder is None or status is None:
            return await self.reconcile(name)
        await self.reporter.report_progress(holder, status)
        return Result(is_whole=False)

    async def _carry_out_all(
        self, name: str, snapshot: Snapshot, decisions: Sequence[Decision]
    ) -> Result:
        """Carry out each decision, whatever becomes of the others. Return the earliest requeue."""
        results = []
        failure: ApiError | None = None
        for decision in decisions:
            workspace = None if isinstance(decision, Orphan) else decision.workspace
            try:
                results.append(await self._carry_out(name, snapshot, decision))
            except ApiError as error:
                failure = error
                await self._report_failure(workspace, error)
            except UnreachableError as error:  # nor would it answer for the others
                await self._report_failure(workspace, error)
                raise
            else:
                if workspace is not None:
                    self.reporter.failures.forget(workspace.uid)
        if failure is not None:
            raise failure
        return Result.at_earliest(
            (result.requeue_after_seconds for result in results),
            # Any number of rejected rivals must not use up the budget of the holder.
            max((result.cost for result in results), default=0.0),
        )

    async def _report_failure(
        self, workspace: Workspace | None, error: ApiError | UnreachableError
    ) -> None:
        """Report an error that should have passed by now. The report may fail as well, for the same
        reason; the log and the metrics have the error in any case."""
        if workspace is None:
            return
        problem = self.reporter.failures.passing(workspace.uid, error, self.now())
        current = self.snapshots.current(workspace)
        if problem is None or current is None:
            return
        try:
            await self.reporter.report_sync_problem(current, problem)
        except (ApiError, UnreachableError) as also:
            _log.warning(
                "the status does not say that the API server does not answer",
                workspace=workspace.spec.workspace_name,
                error=str(also),
            )

    async def _report_crash(self, name: str, error: Exception) -> None:
        """Report a fault of the operator, as far as that fault allows it."""
        problem = self.reporter.failures.crashed(name, error)
        if problem is None:
            return
        try:
            if (holder := self.snapshots.holder(name)) is not None:
                await self.reporter.report_sync_problem(holder, problem)
        except Exception as also:  # the first one is raised on
            _log.warning("a crash is not reported", workspace=name, error=repr(also))

    async def _carry_out(self, name: str, snapshot: Snapshot, decision: Decision) -> Result:
        if isinstance(decision, Provision):
            return await self._provision(name, snapshot, decision)
        if isinstance(decision, Orphan):
            self.servers.forget(name)
            await self.executor.execute(decision)
            return Result(decision.stops_in_seconds)
        if isinstance(decision, Finalize) and decision.ends_tenant:
            self.servers.forget(name)
        outcome = await self.executor.execute(decision)
        return await self.reporter.report(decision, outcome, self.snapshots.observed(name))

    async def _provision(self, name: str, snapshot: Snapshot, decision: Provision) -> Result:
        if decision.strikes_namespace:
            nothing_yet = replace(decision, desired=(), credentials=NO_CREDENTIALS)
            await self._report(snapshot, nothing_yet, DONE, snapshot.observed, is_written=False)
        elif decision.pods.begins_turn or _makes_run(decision):
            # It is known after an interruption, too: no other workspace takes the slot, and no chat
            # starts beside a Job that writes its data.
            await self._report(snapshot, decision, DONE, snapshot.observed, is_written=False)
        outcome = await self.executor.execute(decision)
        if outcome.is_stopped:
            # New credentials may not have been stored.
            decision = replace(decision, credentials=NO_CREDENTIALS)
        observed = self.snapshots.observed(name)
        status, result = await self._report(snapshot, decision, outcome, observed)
        rollout = self.rollouts.reported(decision, status, observed)
        is_settled = outcome.error is None and _has_moved(decision, status)
        self.rollouts.put(name, rollout, is_settled=is_settled)
        if outcome.error is not None:
            raise outcome.error
        return result

    async def _report(
        self,
        snapshot: Snapshot,
        decision: Provision,
        outcome: Outcome,
        observed: Observed,
        *,
        is_written: bool = True,
    ) -> tuple[WorkspaceStatus, Result]:
        progress = self.servers.set_desired(decision, snapshot.platform, observed)
        return await self.reporter.report_provision(
            snapshot, decision, outcome, observed, progress, is_written=is_written
        )


def _makes_run(decision: Provision) -> bool:
    return decision.restore is not None and decision.restore.run is not None


def _has_moved(decision: Provision, status: WorkspaceStatus) -> bool:
    """Whether something was written, or a change of the workspace's own is done with."""
    before = decision.workspace.status.rollout
    generation = before.generation if before else None
    moved = status.rollout is not None and status.rollout.generation != generation
    return moved or bool(decision.actions)
