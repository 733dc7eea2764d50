"""Routes for a workspace's backups: make one, list them, restore one, clone the workspace."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes import queries
from aichat_workspace.api.routes.workspace_parameters import (
    WORKSPACE_PATH,
    ChangeParameters,
    IfMatch,
    Name,
    WorkspaceParameters,
)
from aichat_workspace.api.routes.workspace_responses import (
    ETAG,
    LOCATION,
    document_response,
    location,
    workspace_response,
)
from aichat_workspace.api.schemas.backups import (
    BackupList,
    BackupRequest,
    CloneRequest,
    RestoreRequest,
)
from aichat_workspace.api.schemas.workspace import WorkspaceDocument
from aichat_workspace.api.web.responses.json_responses import json_response
from aichat_workspace.api.workspaces.backups import listed

router = APIRouter(
    prefix=f"/api/v1/workspaces/{WORKSPACE_PATH}",
    tags=["one workspace"],
    dependencies=AUTHENTICATED,
)


@router.get(
    "/backups",
    summary="The backups of a workspace",
    responses={
        200: {"model": BackupList, "description": "The newest first."},
        **responses(404),
    },
)
async def list_backups(
    caller: CurrentCaller, services: ServicesDep, name: Name, query: WorkspaceParameters
) -> Response:
    """As `status.backup` has them, the schedule that makes them, and how the last run went."""
    view = await services.workspaces.find(caller, "get", name, query.team)
    return json_response(listed(view.document))


@router.post(
    ":backup",
    summary="Back a workspace up",
    status_code=202,
    responses={
        **document_response(202, "Written; the backup is made now."),
        **responses(404, 409, 412, 415),
    },
)
async def back_up_workspace(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    body: BackupRequest | None = None,
    if_match: IfMatch = None,
) -> Response:
    """The chat runs on meanwhile. Each request is one more backup, unless it repeats the text of
    the last one; the newest `spec.backup.keep` stay, of scheduled and requested ones alike.
    `status.backup` says how it goes. 409 where the platform has no destination for the team, or no
    passphrase."""
    text = body.request if body else ""
    view = await services.backups.request(caller, name, text, query.options(if_match))
    return workspace_response(view, 202, dry_run=query.dry_run)


@router.post(
    ":restore",
    summary="Restore a backup",
    status_code=202,
    responses={
        **document_response(202, "Written; the chat stops, and comes back with the backup's data."),
        **responses(404, 409, 412, 415),
    },
)
async def restore_workspace(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    body: RestoreRequest,
    if_match: IfMatch = None,
) -> Response:
    """Chats, people and documents are replaced by those of the backup; the spec stays as it is. The
    chat stops meanwhile. `status.restore` says how it goes. 422 for a backup that the list does not
    have, unless with `unlisted`."""
    view = await services.backups.restore(caller, name, body, query.options(if_match))
    return workspace_response(view, 202, dry_run=query.dry_run)


@router.post(
    ":clone",
    summary="Clone a workspace",
    status_code=201,
    responses={
        **document_response(
            201, "Made; it comes up now, with the backup's data.", headers=LOCATION
        ),
        200: {
            "description": "The same request has made it before; or what a dry run would make.",
            "model": WorkspaceDocument,
            "headers": {**ETAG, **LOCATION},
        },
        **responses(404, 409, 415),
    },
)
async def clone_workspace(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: Annotated[queries.ChangeQuery, Query()],
    body: CloneRequest,
) -> Response:
    """A new workspace of the same team, with the spec of this one and the data of a backup of it.
    Its host, keys and first administrator are its own; what names a Secret that is for this
    workspace alone is left out: connections, a certificate, the first administrator, and a
    provider with a secret. Needs `get` on this one and `create` in the team. Idempotent, as
    creating one is. 409 where there is no backup."""
    view, is_new = await services.backups.clone(
        caller, name, body, team=query.team, dry_run=query.dry_run
    )
    status = 201 if is_new and not query.dry_run else 200
    return workspace_response(view, status, dry_run=query.dry_run, Location=location(view))
