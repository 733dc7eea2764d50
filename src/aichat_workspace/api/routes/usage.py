"""Routes for usage: of a workspace, of a team, and of the platform."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import NoQuery, Team
from aichat_workspace.api.routes.workspace_parameters import (
    WORKSPACE_PATH,
    Name,
    WorkspaceParameters,
)
from aichat_workspace.api.schemas.usage import PlatformUsage, TeamUsage, WorkspaceUsage
from aichat_workspace.api.web.responses.json_responses import json_response

router = APIRouter(prefix="/api/v1", dependencies=AUTHENTICATED)


@router.get(
    f"/workspaces/{WORKSPACE_PATH}/usage",
    tags=["one workspace"],
    summary="What a workspace uses of what it has",
    responses={
        200: {"model": WorkspaceUsage, "description": "As the cluster counts it now."},
        **responses(404),
    },
)
async def read_workspace_usage(
    caller: CurrentCaller, services: ServicesDep, name: Name, query: WorkspaceParameters
) -> Response:
    """Its quota, volumes, objects and models. How full a volume is, Kubernetes' API does not tell:
    of the models' volume their sizes are known."""
    view = await services.workspaces.find(caller, "get", name, query.team)
    return json_response(services.usage.of_workspace(view))


@router.get(
    "/teams/{team}/usage",
    tags=["platform"],
    summary="What the workspaces of a team use together",
    responses={
        200: {"model": TeamUsage, "description": "As of two seconds ago at most."},
        **responses(404),
    },
)
async def read_team_usage(
    caller: CurrentCaller,
    services: ServicesDep,
    team: Annotated[Team, Path(description="The team.")],
    _: Annotated[NoQuery, Query()],
) -> Response:
    """Needs `list` on aichatworkspaces in the team."""
    await services.workspaces.require_team(caller, team)
    return json_response(await services.usage.of_team(team))


@router.get(
    "/platform/usage",
    tags=["platform"],
    summary="What all workspaces use together",
    responses={
        200: {"model": PlatformUsage, "description": "As of two seconds ago at most."},
        **responses(),
    },
)
async def read_platform_usage(
    caller: CurrentCaller, services: ServicesDep, _: Annotated[NoQuery, Query()]
) -> Response:
    """Of all teams, and of each. Needs `list` on aichatworkspaces in every team."""
    await services.workspaces.require_every_team(caller)
    return json_response(await services.usage.of_platform())
