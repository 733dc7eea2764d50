"""Routes that add and remove one model, pattern or connection, and reset the password."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Response

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.dependencies import (
    AUTHENTICATED,
    CurrentCaller,
    Services,
    ServicesDep,
)
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import ChangeQuery
from aichat_workspace.api.routes.workspaces import (
    WORKSPACE_PATH,
    ChangeParameters,
    IfMatch,
    Name,
    WorkspaceParameters,
    document_response,
    workspace_response,
)
from aichat_workspace.api.schemas.workspace import ConnectionAdd, EntryAdd, ModelProgress
from aichat_workspace.api.web.body_limits import JSON
from aichat_workspace.api.workspaces import spec_lists
from aichat_workspace.api.workspaces.spec_lists import CONNECTIONS, MODELS, PATTERNS, Change

router = APIRouter(
    prefix=f"/api/v1/workspaces/{WORKSPACE_PATH}",
    tags=["one workspace"],
    dependencies=AUTHENTICATED,
)

_CHANGED: Final[dict[int | str, dict[str, Any]]] = {
    **document_response(200, "It was so already."),
    **document_response(202, "Written; the workspace follows."),
    **responses(404, 409, 412, 415),
}
_Model = Annotated[str, Path(description="Its name, as `gemma2:2b`.", min_length=1, max_length=512)]
_Entry = Annotated[str, Path(description="Its name.", min_length=1, max_length=128)]


@router.get(
    "/models/{model:path}",
    summary="How far a model is",
    responses={
        200: {"model": ModelProgress, "description": "As the operator reports it."},
        **responses(404),
    },
)
async def read_model(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    model: _Model,
    query: WorkspaceParameters,
) -> Response:
    """The state of a model of `spec.models`, and the progress of its download."""
    view = await services.workspaces.find(caller, "get", name, query.team)
    progress = spec_lists.model_progress(view.document, model)
    return Response(orjson.dumps(progress), media_type=JSON)


@router.post("/models", summary="Add a model", responses=_CHANGED)
async def add_model(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    body: EntryAdd,
    if_match: IfMatch = None,
) -> Response:
    """Adds it to `spec.models`, and loses no other change. GET of its path tells the progress."""
    change = spec_lists.add(MODELS, body.name)
    return await _change(services, caller, name, query, if_match, change)


@router.delete("/models/{model:path}", summary="Remove a model", responses=_CHANGED)
async def remove_model(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    model: _Model,
    query: ChangeParameters,
    if_match: IfMatch = None,
) -> Response:
    change = spec_lists.remove(MODELS, model)
    return await _change(services, caller, name, query, if_match, change)


@router.post("/patterns", summary="Add a pattern", responses=_CHANGED)
async def add_pattern(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    body: EntryAdd,
    if_match: IfMatch = None,
) -> Response:
    """Adds it to `spec.patterns`, and loses no other change."""
    change = spec_lists.add(PATTERNS, body.name)
    return await _change(services, caller, name, query, if_match, change)


@router.delete("/patterns/{pattern}", summary="Remove a pattern", responses=_CHANGED)
async def remove_pattern(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    pattern: _Entry,
    query: ChangeParameters,
    if_match: IfMatch = None,
) -> Response:
    change = spec_lists.remove(PATTERNS, pattern)
    return await _change(services, caller, name, query, if_match, change)


@router.post("/connections", summary="Add a connection", responses=_CHANGED)
async def add_connection(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    body: ConnectionAdd,
    if_match: IfMatch = None,
) -> Response:
    """Adds it to `spec.connections`, or replaces the one of that name; loses no other change."""
    change = spec_lists.add(CONNECTIONS, body.model_dump(by_alias=True))
    return await _change(services, caller, name, query, if_match, change)


@router.delete("/connections/{connection}", summary="Remove a connection", responses=_CHANGED)
async def remove_connection(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    connection: _Entry,
    query: ChangeParameters,
    if_match: IfMatch = None,
) -> Response:
    change = spec_lists.remove(CONNECTIONS, connection)
    return await _change(services, caller, name, query, if_match, change)


@router.post(
    ":resetPassword",
    summary="Give the first administrator a new password",
    responses={
        **document_response(202, "Written; the new password follows."),
        **responses(404, 409, 412, 415),
    },
    status_code=202,
)
async def reset_password(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    if_match: IfMatch = None,
) -> Response:
    """The first administrator is signed out everywhere; `credentials` has the new password when the
    workspace is ready again. 409 where the platform team sets it."""
    change = spec_lists.reset_password(datetime.now(UTC))
    return await _change(services, caller, name, query, if_match, change)


async def _change(
    services: Services,
    caller: Caller,
    name: str,
    query: ChangeQuery,
    if_match: str | None,
    change: Change,
) -> Response:
    view, has_changed = await services.workspaces.change(
        caller, name, change, query.options(if_match)
    )
    return workspace_response(view, 202 if has_changed else 200, dry_run=query.dry_run)
