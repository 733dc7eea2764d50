"""Routes for the caller: who they are and what they may do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Query

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import EVERYWHERE, AccessRequest
from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, Services, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import NoQuery
from aichat_workspace.api.schemas.session import Identity, TeamRights

router = APIRouter(prefix="/api/v1", tags=["platform"], dependencies=AUTHENTICATED)

_ACCESS_REQUESTS: Final = (
    *(
        AccessRequest(verb)
        for verb in ("create", "get", "list", "watch", "update", "patch", "delete")
    ),
    AccessRequest("get", subresource="log"),
    AccessRequest("create", subresource="prompt"),
    AccessRequest("get", subresource="credentials"),
)


@router.get("/me", summary="Who you are and what you may do", responses=responses())
async def read_me(
    caller: CurrentCaller, services: ServicesDep, _: Annotated[NoQuery, Query()]
) -> Identity:
    """As Kubernetes decides, in every team."""
    everywhere = (await _allowed_by_team(caller, services, [EVERYWHERE], _ACCESS_REQUESTS))[
        EVERYWHERE
    ]
    rest = [request for request in _ACCESS_REQUESTS if request not in everywhere]
    teams = sorted(services.cluster.all_teams()) if rest else []
    rights = await _allowed_by_team(caller, services, teams, rest)
    return Identity(
        username=caller.username,
        groups=caller.groups,
        everywhere=tuple(map(_format_request, everywhere)),
        teams=tuple(
            TeamRights(team=team, verbs=tuple(map(_format_request, requests)))
            for team, requests in rights.items()
            if requests
        ),
    )


async def _allowed_by_team(
    caller: Caller, services: Services, teams: Sequence[str], requests: Sequence[AccessRequest]
) -> dict[str, list[AccessRequest]]:
    """Return the requests that are allowed, by team."""
    pairs = [(team, request) for team in teams for request in requests]
    answers = await services.authorizer.allows_each(
        caller, [replace(request, team=team) for team, request in pairs]
    )
    allowed: dict[str, list[AccessRequest]] = {team: [] for team in teams}
    for (team, request), is_allowed in zip(pairs, answers, strict=True):
        if is_allowed:
            allowed[team].append(request)
    return allowed


def _format_request(request: AccessRequest) -> str:
    return f"{request.verb} {request.what}" if request.subresource else request.verb
