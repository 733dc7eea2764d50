"""One change of all workspaces of a team, each by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.web.responses import cluster_errors
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import FIRST
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.api.workspaces.writing.service import ChangeOptions, Workspaces

MAX_CHANGES: Final = 500
"""Workspaces that one request changes at most."""
_CONCURRENT: Final = 4
_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one workspace."""

    name: str
    """Its workspaceName."""
    status: int
    """As if it had been asked for alone: 202 written, 200 so already, or the problem's."""
    problem: ProblemError | None = None
    """Why it was not changed."""
    is_unknown: bool = False
    """Whether it may have been changed all the same: the reply was lost."""


@dataclass(frozen=True, slots=True)
class TeamOutcome:
    """What became of a team's workspaces."""

    outcomes: tuple[Outcome, ...]
    """In the order of their names."""
    remaining: int
    """How many were not tried, for want of time or because there were too many."""


async def set_suspended(
    workspaces: Workspaces, caller: Caller, team: str, *, is_suspended: bool, dry_run: bool
) -> TeamOutcome:
    """Suspend or resume the workspaces of a team that the caller may change, some at the same time.

    A repeated call goes on where this one ended: what is so already is not written, and not counted
    towards the limit. Whether the caller may change one is asked for each. Raises ProblemError
    for a caller who may not list them (403), and where there is no such team (404).
    """
    audit_log.note(dry_run=dry_run)
    await workspaces.require_team(caller, team)
    present = [view for view in workspaces.cluster.sorted_from(FIRST) if view.team == team]
    pending = [view for view in present if _is_suspended(view) is not is_suspended]
    options = ChangeOptions(team, dry_run=dry_run)

    async def change(view: View) -> Outcome:
        with audit_log.collect_notes() as notes:  # the request's line names all of them together
            try:
                changes = {"suspended": is_suspended}
                _, has_changed = await workspaces.patch(caller, view.name, changes, options)
            except cluster_errors.REPORTABLE_ERRORS as error:
                problem = cluster_errors.as_problem(error)
                return Outcome(view.name, problem.status, problem, is_unknown="note" in notes)
        return Outcome(view.name, 202 if has_changed else 200)

    tried = await _for_each(pending[:MAX_CHANGES], change)
    changed = sorted(tried, key=lambda outcome: outcome.name)
    audit_log.note(changed=_names(changed, lambda outcome: outcome.status == 202))
    audit_log.note(failed=_names(changed, lambda outcome: outcome.problem is not None))
    audit_log.note(unknown=_names(changed, lambda outcome: outcome.is_unknown))
    settled = [Outcome(view.name, 200) for view in present if _is_suspended(view) is is_suspended]
    outcomes = sorted([*changed, *settled], key=lambda outcome: outcome.name)
    return TeamOutcome(tuple(outcomes), len(pending) - len(changed))


def _is_suspended(view: View) -> bool:
    return bool(view.document["spec"].get("suspended"))


def _names(outcomes: Iterable[Outcome], is_meant: Callable[[Outcome], bool]) -> list[str]:
    return [outcome.name for outcome in outcomes if is_meant(outcome)]


async def _for_each(
    views: Sequence[View], change: Callable[[View], Awaitable[Outcome]]
) -> list[Outcome]:
    """Return the outcomes of the workspaces that were tried before the time was over."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + _SECONDS
    waiting, outcomes = iter(views), list[Outcome]()

    async def work() -> None:
        for view in waiting:
            outcomes.append(await change(view))
            if clock() >= deadline:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(_CONCURRENT):
            group.create_task(work())
    return outcomes
