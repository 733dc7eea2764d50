"""One reconcile is one trip: snapshot, decide, execute, report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from aichat_workspace.domain.decision.decide import decide
from aichat_workspace.domain.decision.decisions import Decision, Finalize, Orphan, Provision
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.render.context import NO_CREDENTIALS
from aichat_workspace.kube.controller import Result
from aichat_workspace.kube.errors import ApiError
from aichat_workspace.operator.executor import DONE, Executor, Outcome
from aichat_workspace.operator.image_rollouts import ImageRollouts
from aichat_workspace.operator.models.servers import ServerSync
from aichat_workspace.operator.reporter import Reporter
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
    rollouts: ImageRollouts
    now: Callable[[], datetime]

    async def reconcile(self, name: str) -> Result:
        """Raises ApiError or UnreachableError when a write failed; the queue retries."""
        self.rollouts.update(name)
        snapshot = self.snapshots.take(name)
        decisions = decide(snapshot, self.now())
        if not decisions:
            self.servers.forget(name)
        try:
            return await self._carry_out_all(name, snapshot, decisions)
        finally:
            self.rollouts.update(name)

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
        if isinstance(decision, Orphan):
            self.servers.forget(name)
            await self.executor.execute(decision)
            return Result(decision.stops_in_seconds)
        if isinstance(decision, Finalize) and decision.ends_tenant:
            self.servers.forget(name)
        outcome = await self.executor.execute(decision)
        self.rollouts.update(name)
        return await self.reporter.report(decision, outcome, self.snapshots.observed(name))

    async def _provision(self, name: str, snapshot: Snapshot, decision: Provision) -> Result:
        if decision.strikes_namespace:
            nothing_yet = replace(decision, desired=(), credentials=NO_CREDENTIALS)
            await self._report(snapshot, nothing_yet, DONE, snapshot.observed)
        outcome = await self.executor.execute(decision)
        self.rollouts.update(name)  # before others reconcile while the status is written
        if outcome.is_stopped:
            # New credentials may not have been stored.
            decision = replace(decision, credentials=NO_CREDENTIALS)
        return await self._report(snapshot, decision, outcome, self.snapshots.observed(name))

    async def _report(
        self, snapshot: Snapshot, decision: Provision, outcome: Outcome, observed: Observed
    ) -> Result:
        progress = self.servers.set_desired(decision, snapshot.platform, observed)
        return await self.reporter.report_provision(snapshot, decision, outcome, observed, progress)
