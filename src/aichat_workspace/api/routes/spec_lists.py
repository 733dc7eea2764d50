"""Routes that add and remove one model, pattern or connection, and reset the password."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Response

from aichat_workspace.api.dependencies import (
    AUTHENTICATED,
    CurrentCaller,
    ServicesDep,
)
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.workspace_parameters import (
    WORKSPACE_PATH,
    ChangeParameters,
    IfMatch,
    Name,
    WorkspaceParameters,
)
from aichat_workspace.api.routes.workspace_responses import change_response, document_response
from aichat_workspace.api.schemas.workspace import ConnectionAdd, EntryAdd, ModelProgress
from aichat_workspace.api.web.responses.json_responses import json_response
from aichat_workspace.api.workspaces.writing import spec_lists
from aichat_workspace.api.workspaces.writing.spec_lists import CONNECTIONS, MODELS, PATTERNS, Change

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


Write = Callable[[str, Change], Awaitable[Response]]


async def get_write(
    caller: CurrentCaller,
    services: ServicesDep,
    query: ChangeParameters,
    if_match: IfMatch = None,
) -> Write:
    """Return the function that writes a change of a workspace, as the request asks for it."""

    async def write(name: str, change: Change) -> Response:
        view, has_changed = await services.workspaces.change(
            caller, name, change, query.options(if_match)
        )
        return change_response(view, has_changed=has_changed, dry_run=query.dry_run)

    return write


WriteDep = Annotated[Write, Depends(get_write)]


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
    return json_response(progress)


@router.post("/models", summary="Add a model", responses=_CHANGED)
async def add_model(
    write: WriteDep,
    services: ServicesDep,
    name: Name,
    body: EntryAdd,
) -> Response:
    """Adds it to `spec.models`, or to those of its size class where it names none, and loses no
    other change. 409 while that class is missing. GET of its path tells the progress."""
    change = spec_lists.add(MODELS, body.name)
    return await write(name, spec_lists.of_class(change, services.cluster.models_of))


@router.delete("/models/{model:path}", summary="Remove a model", responses=_CHANGED)
async def remove_model(
    write: WriteDep,
    services: ServicesDep,
    name: Name,
    model: _Model,
) -> Response:
    """Takes it out of `spec.models`, or of those of its size class where it names none. 409 for the
    last one where the class would give its models again, and while that class is missing."""
    change = spec_lists.remove(MODELS, model)
    return await write(name, spec_lists.of_class(change, services.cluster.models_of))


@router.post("/patterns", summary="Add a pattern", responses=_CHANGED)
async def add_pattern(
    write: WriteDep,
    name: Name,
    body: EntryAdd,
) -> Response:
    """Adds it to `spec.patterns`, and loses no other change."""
    return await write(name, spec_lists.add(PATTERNS, body.name))


@router.delete("/patterns/{pattern}", summary="Remove a pattern", responses=_CHANGED)
async def remove_pattern(
    write: WriteDep,
    name: Name,
    pattern: _Entry,
) -> Response:
    return await write(name, spec_lists.remove(PATTERNS, pattern))


@router.post("/connections", summary="Add a connection", responses=_CHANGED)
async def add_connection(
    write: WriteDep,
    name: Name,
    body: ConnectionAdd,
) -> Response:
    """Adds it to `spec.connections`, or replaces the one of that name; loses no other change."""
    return await write(name, spec_lists.add(CONNECTIONS, body.model_dump(by_alias=True)))


@router.delete("/connections/{connection}", summary="Remove a connection", responses=_CHANGED)
async def remove_connection(
    write: WriteDep,
    name: Name,
    connection: _Entry,
) -> Response:
    return await write(name, spec_lists.remove(CONNECTIONS, connection))


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
    write: WriteDep,
    name: Name,
) -> Response:
    """The first administrator is signed out everywhere; `credentials` has the new password when the
    workspace is ready again. 409 where the platform team sets it."""
    return await write(name, spec_lists.reset_password(datetime.now(UTC)))
