"""Routes for the caller: who they are and what they may do."""

from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import EVERYWHERE, AccessRequest
from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, Services, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import AccessQuery, NoQuery, Team
from aichat_workspace.api.schemas.session import AccessAnswer, Identity, TeamRights

router = APIRouter(prefix="/api/v1/me", tags=["platform"], dependencies=AUTHENTICATED)

_ACCESS_REQUESTS: Final = (
    *(
        AccessRequest(verb)
        for verb in ("create", "get", "list", "watch", "update", "patch", "delete")
    ),
    AccessRequest("get", subresource="log"),
    AccessRequest("create", subresource="prompt"),
    AccessRequest("get", subresource="credentials"),
)


@router.get("", summary="Who you are and which teams are yours", responses=responses())
async def read_me(
    caller: CurrentCaller, services: ServicesDep, _: Annotated[NoQuery, Query()]
) -> Identity:
    """As Kubernetes decides. A new role shows within half a minute."""
    everywhere = await _rights(caller, services, EVERYWHERE)
    teams = services.cluster.all_teams()
    scope = await services.authorizer.scope(caller, "list", lambda: teams)
    return Identity(
        username=caller.username,
        groups=caller.groups,
        everywhere=everywhere,
        teams=tuple(team for team in sorted(teams) if team in scope),
    )


@router.get("/teams/{team}", summary="What you may do in a team", responses=responses())
async def read_my_rights(
    caller: CurrentCaller,
    services: ServicesDep,
    team: Annotated[Team, Path(description="The team, whether it exists or not.")],
    _: Annotated[NoQuery, Query()],
) -> TeamRights:
    """With all of the team's workspaces, as Kubernetes decides."""
    return TeamRights(team=team, verbs=await _rights(caller, services, team))


@router.get("/can-i", summary="Whether you may do one thing", responses=responses())
async def can_i(
    caller: CurrentCaller, services: ServicesDep, query: Annotated[AccessQuery, Query()]
) -> AccessAnswer:
    """As `kubectl auth can-i`, with all workspaces of a team, or of every team without `team`."""
    request = AccessRequest(
        query.verb, query.team or EVERYWHERE, subresource=query.subresource or ""
    )
    return AccessAnswer(allowed=await services.authorizer.allows(caller, request))


async def _rights(caller: Caller, services: Services, team: str) -> tuple[str, ...]:
    requests = [replace(request, team=team) for request in _ACCESS_REQUESTS]
    answers = await services.authorizer.allows_each(caller, requests)
    return tuple(
        _format_request(request)
        for request, is_allowed in zip(requests, answers, strict=True)
        if is_allowed
    )


def _format_request(request: AccessRequest) -> str:
    return f"{request.verb} {request.what}" if request.subresource else request.verb
