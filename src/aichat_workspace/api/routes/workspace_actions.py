"""Routes for actions on a workspace: suspend, resume, restart."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.dependencies import (
    AUTHENTICATED,
    CurrentCaller,
    Services,
    ServicesDep,
)
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes import queries
from aichat_workspace.api.routes.workspace_parameters import (
    WORKSPACE_PATH,
    ChangeParameters,
    IfMatch,
    Name,
)
from aichat_workspace.api.routes.workspace_responses import (
    change_response,
    document_response,
    workspace_response,
)

router = APIRouter(prefix="/api/v1", tags=["workspaces"], dependencies=AUTHENTICATED)


@router.post(
    f"/workspaces/{WORKSPACE_PATH}:suspend",
    summary="Suspend a workspace",
    responses={
        **document_response(200, "It was suspended already."),
        **document_response(202, "Both workloads stop; data and objects stay."),
        **responses(404, 409, 412, 415),
    },
)
async def suspend_workspace(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    if_match: IfMatch = None,
) -> Response:
    return await _set_suspended(services, caller, name, query, if_match, suspended=True)


@router.post(
    f"/workspaces/{WORKSPACE_PATH}:resume",
    summary="Resume a workspace",
    responses={
        **document_response(200, "It was running already."),
        **document_response(202, "Both workloads start; no model is downloaded again."),
        **responses(404, 409, 412, 415),
    },
)
async def resume_workspace(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    if_match: IfMatch = None,
) -> Response:
    return await _set_suspended(services, caller, name, query, if_match, suspended=False)


@router.post(
    f"/workspaces/{WORKSPACE_PATH}:restart",
    summary="Restart a workspace",
    status_code=202,
    responses={
        **document_response(202, "The pods are replaced, one of each workload."),
        **responses(404, 409, 412, 415),
    },
)
async def restart_workspace(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: Annotated[queries.RestartQuery, Query()],
    if_match: IfMatch = None,
) -> Response:
    """With the images that they have, and without waiting for a turn of the platform's upgrades.
    Chats end while their pod is replaced; data stay. Each request is one more restart. 409 for a
    suspended workspace, which has no pods."""
    view = await services.workspaces.restart(
        caller, name, query.workloads, datetime.now(UTC), query.options(if_match)
    )
    return workspace_response(view, 202, dry_run=query.dry_run)


async def _set_suspended(
    services: Services,
    caller: Caller,
    name: str,
    query: queries.ChangeQuery,
    if_match: str | None,
    *,
    suspended: bool,
) -> Response:
    view, has_changed = await services.workspaces.patch(
        caller,
        name,
        {"suspended": suspended},
        query.options(if_match),
    )
    return change_response(view, has_changed=has_changed, dry_run=query.dry_run)
