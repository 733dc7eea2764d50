"""Routes for all workspaces of a team at once: suspend, resume."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, Services, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import CreateQuery
from aichat_workspace.api.routes.queries import Team as TeamName
from aichat_workspace.api.schemas.team_actions import TeamChange, TeamChanges
from aichat_workspace.api.teams import actions as team_actions
from aichat_workspace.api.teams.actions import MAX_CHANGES, Outcome

router = APIRouter(prefix="/api/v1/teams", tags=["teams"], dependencies=AUTHENTICATED)

_TEAM_PATH: Final = "{team:workspace}"  # a colon after it begins an action
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "What became of each workspace, also where some were refused.",
        "model": TeamChanges,
    },
    **responses(404, 415),
}
_DESCRIPTION: Final = (
    "Needs `list` in the team, and `patch` on each workspace; a refusal of one leaves the others. "
    f"At most {MAX_CHANGES} are changed, within half a minute; `remaining` says how many are left, "
    "and the same request goes on with them."
)
Team = Annotated[TeamName, Path(description="The team.", examples=["team-a"])]
Parameters = Annotated[CreateQuery, Query()]


@router.post(
    f"/{_TEAM_PATH}:suspend",
    summary="Suspend all workspaces of a team",
    description=_DESCRIPTION,
    responses=_RESPONSES,
)
async def suspend_team(
    caller: CurrentCaller, services: ServicesDep, team: Team, query: Parameters
) -> TeamChanges:
    return await _set_suspended(services, caller, team, query, is_suspended=True)


@router.post(
    f"/{_TEAM_PATH}:resume",
    summary="Resume all workspaces of a team",
    description=_DESCRIPTION,
    responses=_RESPONSES,
)
async def resume_team(
    caller: CurrentCaller, services: ServicesDep, team: Team, query: Parameters
) -> TeamChanges:
    return await _set_suspended(services, caller, team, query, is_suspended=False)


async def _set_suspended(
    services: Services, caller: Caller, team: str, query: CreateQuery, *, is_suspended: bool
) -> TeamChanges:
    with services.team_changes.slot(caller.username):
        outcome = await team_actions.set_suspended(
            services.workspaces, caller, team, is_suspended=is_suspended, dry_run=query.dry_run
        )
    return TeamChanges(
        items=tuple(map(_change, outcome.outcomes)),
        remaining=outcome.remaining,
    )


def _change(outcome: Outcome) -> TeamChange:
    problem = outcome.problem
    return TeamChange(
        name=outcome.name,
        status=outcome.status,
        code=problem.code if problem else None,
        detail=problem.detail if problem else None,
    )
