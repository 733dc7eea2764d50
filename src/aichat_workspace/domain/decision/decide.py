"""What one reconcile decides, from a snapshot alone."""

from dataclasses import replace
from datetime import datetime

from aichat_workspace.domain.decision.decisions import (
    Decision,
    Expire,
    Reject,
)
from aichat_workspace.domain.decision.expiry import (
    CLOCK_RECHECK_SECONDS,
    clock_problem,
    suspended,
)
from aichat_workspace.domain.decision.finalization import finalize, release
from aichat_workspace.domain.decision.orphans import find_orphan
from aichat_workspace.domain.decision.provision import provision
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.domain.policy.ownership import (
    choose_claimant,
    name_taken,
    namespace_refusal,
)
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import Expiry
from aichat_workspace.domain.v1alpha1.workspace_status import Phase


def decide(snapshot: Snapshot, now: datetime) -> tuple[Decision, ...]:
    """One decision for each resource that names the workspace; the one that counts comes first.

    Before them comes one for a namespace whose resource is gone.
    """
    namespace = snapshot.observed.namespace
    holder = choose_claimant(snapshot.claimants, namespace) if snapshot.claimants else None
    orphan = find_orphan(snapshot, holder, now)
    orphans = (orphan,) if orphan else ()
    if holder is None:
        return orphans
    others = (claimant for claimant in snapshot.claimants if claimant is not holder)
    return (*orphans, *(_decide(claimant, holder, snapshot, now) for claimant in (holder, *others)))


def _decide(workspace: Workspace, holder: Workspace, snapshot: Snapshot, now: datetime) -> Decision:
    if workspace.deleting:
        is_holder = workspace is holder
        return finalize(workspace, snapshot) if is_holder else release(workspace, snapshot)
    ends = workspace.expires_at
    seconds = None if ends is None else (ends - now).total_seconds()
    is_over = seconds is not None and seconds <= 0
    delay = clock_problem(snapshot.clock_ahead) if is_over else None
    if delay:  # what was stopped already stays so
        is_over = workspace.spec.expiry is Expiry.SUSPEND and _is_suspended(workspace)
        seconds = CLOCK_RECHECK_SECONDS
    elif is_over:
        if workspace.spec.expiry is Expiry.DELETE:
            return Expire(workspace)
        seconds = None
    if workspace is not holder:
        return Reject(workspace, name_taken(workspace, holder), seconds)
    rejection = namespace_refusal(workspace, snapshot.observed.namespace, snapshot.platform)
    if rejection is not None:
        return Reject(workspace, rejection, seconds)
    if is_over:
        workspace = suspended(workspace)
    return replace(
        provision(workspace, snapshot), expires_in_seconds=seconds, is_expired=is_over, delay=delay
    )


def _is_suspended(workspace: Workspace) -> bool:
    return workspace.status.phase is Phase.SUSPENDED
