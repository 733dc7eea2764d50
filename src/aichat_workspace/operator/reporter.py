"""Writes what became of decisions into the status."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from aichat_workspace.domain.decision.decisions import (
    Expire,
    Finalize,
    Provision,
    Reject,
)
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.manifest import Ref, ref
from aichat_workspace.domain.kubernetes.rewrites import Rewrite
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.planning.volume_claims import sizes
from aichat_workspace.domain.policy.blocking import blocks_host
from aichat_workspace.domain.render.context import workspace_url
from aichat_workspace.domain.status.recheck import next_recheck
from aichat_workspace.domain.status.status import StatusInputs, compute_status
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus
from aichat_workspace.kube.controller import Result
from aichat_workspace.operator.executor import Outcome
from aichat_workspace.operator.models.servers import ServerProgress
from aichat_workspace.operator.writer import Writer

_DELETION_RECHECK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Reporter:
    """Writes statuses that differ from the present ones."""

    writer: Writer
    now: Callable[[], datetime]

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
                await self._write(workspace, StatusInputs(url="", rejection=rejection))
                return Result(decision.expires_in_seconds)
            case Expire():
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
        is_written = is_written and not outcome.is_stopped
        inputs = _inputs(snapshot, decision, outcome, observed, progress)
        rewrites = _rewrites(decision, outcome, is_written=is_written)
        inputs = replace(inputs, is_written=is_written, rewrites=rewrites)
        status = await self._write(decision.workspace, inputs)
        recheck = next_recheck(status, observed, self.now())
        seconds = recheck.total_seconds() if recheck else None
        return status, Result.at_earliest((decision.expires_in_seconds, seconds))

    async def _report_end(
        self, workspace: Workspace, decision: Finalize, outcome: Outcome, observed: Observed
    ) -> Result:
        if decision.ends_tenant and (decision.awaits_namespace or outcome.failure):
            url = workspace.status.url or ""
            await self._write(
                workspace, StatusInputs(url=url, observed=observed, failure=outcome.failure)
            )
        if outcome.error is not None:
            raise outcome.error
        # Only time tells that something holds the namespace.
        return Result(_DELETION_RECHECK_SECONDS if decision.awaits_namespace else None)

    async def _write(self, workspace: Workspace, inputs: StatusInputs) -> WorkspaceStatus:
        now = self.now()
        status = compute_status(workspace, inputs, now)
        await self.writer.report(workspace, status, now)
        return status


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
    return StatusInputs(
        url="" if blocked else workspace_url(decision.workspace.spec, snapshot.platform),
        desired=desired,
        observed=observed,
        failure=next(iter(failures), None),
        models=progress.models.models,
        patterns=progress.models.patterns,
        tools=progress.tools,
        pods=decision.pods,
        turn_deadline=timedelta(seconds=snapshot.platform.upgrades.turn_deadline_seconds),
        ingress_classes=snapshot.ingress_classes,
        sizes={} if outcome.is_stopped else sizes(decision.desired),
    )


def _rewrites(decision: Provision, outcome: Outcome, *, is_written: bool) -> tuple[Rewrite, ...]:
    """What came back different now, and what is still as it came back earlier."""
    workspace = decision.workspace
    rewrites = {rewrite.ref: rewrite for rewrite in outcome.rewrites}
    for entry in workspace.status.rewrites:
        is_cluster_scoped = entry.kind == kinds.NAMESPACE.kind
        namespace = "" if is_cluster_scoped else workspace.spec.workspace_name
        target = Ref(entry.kind, namespace, entry.name)
        if not is_written or target in decision.rewritten | decision.pods.frozen:
            rewrites.setdefault(target, Rewrite(target, entry.fields, entry.revision))
    return tuple(rewrites[target] for target in sorted(rewrites))
