"""Routes for workspaces: create, list, read, replace, patch, delete, watch."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.api.dependencies import (
    AUTHENTICATED,
    CurrentCaller,
    RequestCredential,
    ServicesDep,
    identify,
)
from aichat_workspace.api.openapi.responses import event_stream, responses
from aichat_workspace.api.routes import queries
from aichat_workspace.api.routes.workspace_parameters import (
    WORKSPACE_PATH,
    ChangeParameters,
    CreateParameters,
    IfMatch,
    IfNoneMatch,
    Name,
)
from aichat_workspace.api.routes.workspace_responses import (
    ETAG,
    LOCATION,
    change_response,
    document_response,
    location,
    workspace_response,
)
from aichat_workspace.api.schemas.workspace import (
    PartialWorkspaceList,
    WorkspaceCreate,
    WorkspaceDocument,
    WorkspaceList,
    WorkspacePatch,
    WorkspaceReplace,
)
from aichat_workspace.api.web.limits.body_limits import JSON, MERGE_PATCH, PARTIAL
from aichat_workspace.api.web.requests import preferences
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.etags import is_unchanged
from aichat_workspace.api.web.responses.streaming import (
    EVENT_STREAM,
    Pieces,
    cancel_on_disconnect,
    join_pieces,
    stream_response,
)
from aichat_workspace.api.workspaces import pages
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.api.workspaces.watching import watch
from aichat_workspace.api.workspaces.watching.phase_wait import wait_for_phase

router = APIRouter(prefix="/api/v1", tags=["workspaces"], dependencies=AUTHENTICATED)
_LIST_SECONDS: Final = 60.0
_PREFERENCE_APPLIED: Final = {
    preferences.APPLIED: {
        "description": "`wait=N` where that of Prefer was used.",
        "schema": {"type": "string"},
    }
}
_WATCH_EXAMPLE: Final = """\
id:
event: reset
data: {}

event: ADDED
data: {"name":"team-a-aichat","team":"team-a",…}

id: 1201-0f3b9c2d4e5f6071
event: synced
data: {}

id: 1207-0f3b9c2d4e5f6071
event: MODIFIED
data: {"name":"team-a-aichat","team":"team-a",…}
"""
_LIST_RESPONSE: Final[dict[int | str, Any]] = {
    200: {
        "description": "A page; with `fields` as another media type, for clients with types.",
        "model": WorkspaceList,
        "headers": ETAG,
        "content": {
            PARTIAL: {"schema": {"$ref": f"#/components/schemas/{PartialWorkspaceList.__name__}"}}
        },
    }
}


@router.get(
    "/workspaces",
    summary="List workspaces",
    responses={
        **_LIST_RESPONSE,
        304: {"description": "Unchanged."},
        **responses(),
    },
)
async def list_workspaces(
    caller: CurrentCaller,
    services: ServicesDep,
    query: Annotated[queries.ListQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Workspaces that you may see, in the order of their names or of `sort`. Pages stay stable: a
    workspace that is created or deleted makes no other one appear twice or never."""
    page = await services.workspaces.page(
        caller,
        query.filter,
        query.page,
        query.limit,
        sort=pages.Sort.parse(query.sort),
        count=query.count,
    )
    etag = pages.etag(page, query.paths)
    if is_unchanged(etag, if_none_match):
        return Response(status_code=304, headers={"ETag": etag})

    @asynccontextmanager
    async def begin() -> AsyncIterator[Pieces]:
        yield _as_async(join_pieces(pages.parts(page, query.paths)))

    media_type = PARTIAL if query.paths else JSON
    return await stream_response(services.lists, caller.username, begin, media_type, {"ETag": etag})


async def _as_async(pieces: Iterable[bytes]) -> Pieces:
    """Yield the pieces. Raises ProblemError (408) after a minute: the slot is needed by others."""
    clock = asyncio.get_running_loop().time
    end = clock() + _LIST_SECONDS
    for piece in pieces:
        if clock() >= end:
            raise problems.read_too_slowly(_LIST_SECONDS)
        yield piece


@router.post(
    "/workspaces",
    summary="Create a workspace",
    status_code=201,
    responses={
        **document_response(201, "Made; it comes up now.", headers=LOCATION),
        200: {
            "description": "The same request has made it before; or what a dry run would make.",
            "model": WorkspaceDocument,
            "headers": {**ETAG, **LOCATION},
        },
        **responses(409, 415),
    },
)
async def create_workspace(
    caller: CurrentCaller, services: ServicesDep, query: CreateParameters, body: WorkspaceCreate
) -> Response:
    """Names are unique in the whole cluster. Creation is idempotent: if in doubt, send it again."""
    view, is_new = await services.workspaces.create(caller, body, dry_run=query.dry_run)
    status = 201 if is_new and not query.dry_run else 200
    return workspace_response(view, status, dry_run=query.dry_run, Location=location(view))


@router.get(
    "/workspaces:watch",
    summary="Watch workspaces",
    responses={
        200: {
            "description": "Server-sent events: `reset`, `ADDED`, `MODIFIED`, `DELETED` (data: a "
            "workspace), `synced`, `end` (data: a problem, or a `detail`).",
            "content": event_stream(
                _WATCH_EXAMPLE, "reset", "ADDED", "MODIFIED", "DELETED", "synced", "end"
            ),
        },
        **responses(),
    },
    response_class=StreamingResponse,
)
async def watch_workspaces(
    caller: CurrentCaller,
    services: ServicesDep,
    credential: RequestCredential,
    query: Annotated[queries.WatchQuery, Query()],
    last_event_id: Annotated[
        str | None,
        Header(
            description="The last `id` seen: resume there, or start again if that is impossible."
        ),
    ] = None,
) -> Response:
    """The last state of each workspace is sent at least once, and never an older one after a newer.
    After `reset` forget what you had: all workspaces follow, then `synced`. To resume a stream that
    broke off, send Last-Event-ID to any replica."""

    audit_log.note(team=query.team, workspace=query.name)

    async def scope() -> Scope:
        identity = await identify(services, credential)
        return await services.authorizer.scope(
            identity, "watch", lambda: {query.team} if query.team else services.cluster.all_teams()
        )

    if not await scope():
        raise problems.forbidden(caller.username, "watch", "aichatworkspaces", query.team or "any")
    watcher = watch.Watcher(
        services.cluster,
        scope,
        services.stopping,
        query.team,
        query.name,
        fields=query.paths,
    )
    token = watch.ResumeToken.parse(last_event_id)

    @asynccontextmanager
    async def begin() -> AsyncIterator[Pieces]:
        position = await watch.resume(services.cluster, token, services.api_server)
        yield watcher.events(position, token)

    return await stream_response(services.streams, caller.username, begin, EVENT_STREAM)


@router.get(
    f"/workspaces/{WORKSPACE_PATH}",
    summary="Read a workspace",
    responses={
        **document_response(200, "The workspace.", headers=_PREFERENCE_APPLIED),
        304: {"description": "Unchanged."},
        **responses(404, 504),
    },
)
async def read_workspace(
    request: Request,
    caller: CurrentCaller,
    services: ServicesDep,
    credential: RequestCredential,
    name: Name,
    query: Annotated[queries.ReadQuery, Query()],
    if_none_match: IfNoneMatch = None,
    prefer: Annotated[
        str | None,
        Header(
            description="`wait=N` (RFC 7240) is `timeout` in a header: it is used where the query "
            f"has `wait` and no `timeout`, up to {queries.MAX_WAIT_SECONDS} seconds."
        ),
    ] = None,
) -> Response:
    """With `wait`, once it is in that phase."""

    async def find() -> View:
        identity = await identify(services, credential)
        return await services.workspaces.find(identity, "get", name, query.team)

    headers: dict[str, str] = {}
    if query.wait is None:
        view = await services.workspaces.find(caller, "get", name, query.team)
    else:
        seconds = query.timeout or queries.WAIT_SECONDS
        if query.timeout is None and (preferred := preferences.wait_seconds(prefer)) is not None:
            seconds = min(preferred, queries.MAX_WAIT_SECONDS)
            headers = preferences.applied_wait(seconds)
        waiting = wait_for_phase(services.cluster, find, query.wait, seconds)
        with services.streams.slot(caller.username):
            view = await cancel_on_disconnect(request, services.stopping, waiting)
    if is_unchanged(view.etag, if_none_match):
        return Response(status_code=304, headers={"ETag": view.etag, **headers})
    return workspace_response(view, 200, dry_run=False, **headers)


@router.put(
    f"/workspaces/{WORKSPACE_PATH}",
    summary="Replace a workspace's spec",
    responses={
        **document_response(200, "It was so already."),
        **document_response(202, "Written; the workspace follows."),
        **responses(404, 409, 412, 415, 428),
    },
)
async def replace_workspace(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    body: WorkspaceReplace,
    if_match: IfMatch = None,
) -> Response:
    """Omitted fields return to their defaults. If-Match is required, so no other change is lost."""
    if if_match is None:
        raise problems.if_match_missing()
    view, has_changed = await services.workspaces.replace(
        caller, name, body.spec, query.options(if_match)
    )
    return change_response(view, has_changed=has_changed, dry_run=query.dry_run)


@router.patch(
    f"/workspaces/{WORKSPACE_PATH}",
    summary="Change fields of a workspace's spec",
    responses={
        **document_response(200, "It was so already."),
        **document_response(202, "Written; the workspace follows."),
        **responses(404, 409, 412, 415),
    },
)
async def patch_workspace(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    body: Annotated[WorkspacePatch, Body(media_type=MERGE_PATCH)],
    if_match: IfMatch = None,
) -> Response:
    view, has_changed = await services.workspaces.patch(
        caller, name, body.spec, query.options(if_match)
    )
    return change_response(view, has_changed=has_changed, dry_run=query.dry_run)


@router.delete(
    f"/workspaces/{WORKSPACE_PATH}",
    summary="Delete a workspace",
    status_code=202,
    responses={
        **document_response(202, "It goes now, with its namespace."),
        **responses(404, 409, 412),
    },
)
async def delete_workspace(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: ChangeParameters,
    if_match: IfMatch = None,
) -> Response:
    """With all its data, unless `spec.deletionPolicy` is Retain."""
    view = await services.workspaces.delete(caller, name, query.options(if_match))
    return workspace_response(view, 202, dry_run=query.dry_run)
