"""Routes for workspaces: create, list, read, replace, patch, delete, suspend, resume,
restart, watch."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.convertors import StringConvertor, register_url_convertor

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.api.dependencies import (
    AUTHENTICATED,
    CurrentCaller,
    RequestCredential,
    Services,
    ServicesDep,
    identify,
)
from aichat_workspace.api.openapi.responses import event_stream, responses
from aichat_workspace.api.routes import queries
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
from aichat_workspace.domain import names

router = APIRouter(prefix="/api/v1", tags=["workspaces"], dependencies=AUTHENTICATED)

ETAG: Final = {
    "ETag": {
        "description": "For If-Match and If-None-Match; a dry run has none.",
        "schema": {"type": "string"},
    }
}
_LIST_SECONDS: Final = 60.0
LOCATION: Final = {"Location": {"description": "Where to read it.", "schema": {"type": "string"}}}
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
_ADDRESS: Final = {
    "path.name": "$response.body#/name",
    "query.team": "$response.body#/team",
}
_LINKS: Final = {
    operation: {
        "operationId": operation,
        "parameters": _ADDRESS,
        "description": f"`name` and `team` of the answer are those of `{operation}`.",
    }
    for operation in (
        "read_workspace",
        "patch_workspace",
        "suspend_workspace",
        "resume_workspace",
        "restart_workspace",
        "back_up_workspace",
        "list_backups",
        "clone_workspace",
        "delete_workspace",
        "read_diagnosis",
        "list_events",
        "list_installed_models",
        "read_credentials",
        "invite_to_chat",
        "read_log",
        "ask",
    )
} | {
    "replace_workspace": {
        "operationId": "replace_workspace",
        "parameters": {**_ADDRESS, "header.if-match": "$response.header.ETag"},
        "description": "With `ETag` of the answer as If-Match, no change is lost.",
    }
}


class _NameConvertor(StringConvertor):
    """A name in a path; a colon after it begins an action."""

    regex = "[^/:]+"


register_url_convertor("workspace", _NameConvertor())
WORKSPACE_PATH: Final = "{name:workspace}"

Name = Annotated[
    str,
    Path(
        description="The workspaceName.",
        min_length=1,
        max_length=names.WORKSPACE_NAME_MAX_LENGTH,
        pattern=names.WORKSPACE_NAME_PATTERN,
        examples=["team-a-aichat"],
    ),
]
WorkspaceParameters = Annotated[queries.WorkspaceQuery, Query()]
CreateParameters = Annotated[queries.CreateQuery, Query()]
ChangeParameters = Annotated[queries.ChangeQuery, Query()]
IfMatch = Annotated[
    str | None, Header(description="An ETag: change only this state of the spec; `*` for any.")
]
IfNoneMatch = Annotated[
    str | None, Header(description="An ETag: 304 if this state is the newest still.")
]


def workspace_response(
    view: View, status: int = 200, *, dry_run: bool = False, **headers: str
) -> Response:
    """Return a workspace; without ETag for a dry run, whose state was never stored."""
    return Response(
        view.body, status, {} if dry_run else {"ETag": view.etag, **headers}, media_type=JSON
    )


def document_response(
    status: int,
    description: str,
    model: Any = WorkspaceDocument,
    headers: Mapping[str, Any] = MappingProxyType({}),
) -> dict[int | str, Any]:
    """Document a response for OpenAPI, with `more` headers."""
    links = {"links": _LINKS} if model is WorkspaceDocument else {}
    return {
        status: {
            "description": description,
            "model": model,
            "headers": {**ETAG, **headers},
            **links,
        }
    }


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


def location(view: View) -> str:
    return f"/api/v1/workspaces/{view.name}?team={view.team}"


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
        lambda view: query.team in (None, view.team) and query.name in (None, view.name),
        services.stopping,
        query=" ".join([f"{query.team} {query.name}", *query.paths]),
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


def change_response(view: View, *, has_changed: bool, dry_run: bool) -> Response:
    """Return a workspace after a change: 202, or 200 where it was so already."""
    return workspace_response(view, 202 if has_changed else 200, dry_run=dry_run)
