"""One reconcile is one trip: snapshot, decide, execute, report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from aichat_workspace.domain.decision.decide import decide
from aichat_workspace.domain.decision.decisions import Decision, Finalize, Provision
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.planning.rollout import Rollout
from aichat_workspace.domain.render.context import NO_CREDENTIALS
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus
from aichat_workspace.kube.controller import Result
from aichat_workspace.kube.errors import ApiError
from aichat_workspace.operator.executor import DONE, Executor, Outcome
from aichat_workspace.operator.models.servers import ServerSync
from aichat_workspace.operator.reporter import Reporter
from aichat_workspace.operator.rollouts import Rollouts
from aichat_workspace.operator.snapshots import Snapshots


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
        self.rollouts.see(name)
        try:
            snapshot = self.snapshots.take(name)
            decisions = decide(snapshot, self.now())
            # Before others reconcile while this one writes.
            self.rollouts.put(name, self._rollout(decisions))
            if not decisions:
                self.servers.forget(name)
            return await self._carry_out_all(name, snapshot, decisions)
        finally:
            self.rollouts.offer()

    def _rollout(self, decisions: Sequence[Decision]) -> Rollout | None:
        holders = (decision for decision in decisions if isinstance(decision, Provision))
        return next(map(self.rollouts.decided, holders), None)

    async def _carry_out_all(
        self, name: str, snapshot: Snapshot, decisions: Sequence[Decision]
    ) -> Result:
        """Carry out each decision, whatever becomes of the others. Return the earliest requeue."""
        results = []
        failure: ApiError | None = None
        for decision in decisions:
            try:
                results.append(await self._carry_out(name, snapshot, decision))
            except ApiError as error:
                failure = error
        if failure is not None:
            raise failure
        return Result.at_earliest(result.requeue_after_seconds for result in results)

    async def _carry_out(self, name: str, snapshot: Snapshot, decision: Decision) -> Result:
        if isinstance(decision, Provision):
            return await self._provision(name, snapshot, decision)
        if isinstance(decision, Finalize) and decision.ends_tenant:
            self.servers.forget(name)
        outcome = await self.executor.execute(decision)
        return await self.reporter.report(decision, outcome, self.snapshots.observed(name))

    async def _provision(self, name: str, snapshot: Snapshot, decision: Provision) -> Result:
        if decision.strikes_namespace:
            nothing_yet = replace(decision, desired=(), credentials=NO_CREDENTIALS)
            await self._report(snapshot, nothing_yet, DONE, snapshot.observed, is_written=False)
        elif decision.pods.begins_turn:
            # The turn is known after an interruption, too: no other workspace takes the slot.
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


def _has_moved(decision: Provision, status: WorkspaceStatus) -> bool:
    """Whether something was written, or a change of the workspace's own is done with."""
    before = decision.workspace.status.rollout
    generation = before.generation if before else None
    moved = status.rollout is not None and status.rollout.generation != generation
    return moved or bool(decision.actions)
