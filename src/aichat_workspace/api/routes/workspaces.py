"""/api/v1/workspaces: create, list, read, replace, patch, delete, suspend, resume, watch."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from starlette.convertors import StringConvertor, register_url_convertor

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
from aichat_workspace.api.openapi.responses import responses, server_sent
from aichat_workspace.api.routes import queries
from aichat_workspace.api.schemas.workspace import (
    WorkspaceCreate,
    WorkspaceDocument,
    WorkspaceList,
    WorkspacePatch,
    WorkspaceReplace,
)
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.body_limits import JSON, MERGE_PATCH
from aichat_workspace.api.web.etags import unchanged
from aichat_workspace.api.web.streaming import Pieces, joined, streamed
from aichat_workspace.api.workspaces import pages, watch
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names

router = APIRouter(prefix="/api/v1", tags=["workspaces"], dependencies=AUTHENTICATED)

_ETAG: Final = {
    "ETag": {
        "description": "For If-Match and If-None-Match; a dry run has none.",
        "schema": {"type": "string"},
    }
}
_LOCATION: Final = {"Location": {"description": "Where to read it.", "schema": {"type": "string"}}}
_WATCHED: Final = """\
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
_LINKS: Final = {
    operation: {
        "operationId": operation,
        "parameters": {"path.name": "$response.body#/name", "query.team": "$response.body#/team"},
        "description": f"`name` of the answer is that of `{operation}`.",
    }
    for operation in (
        "read_workspace",
        "patch_workspace",
        "suspend_workspace",
        "resume_workspace",
        "delete_workspace",
        "read_diagnosis",
        "list_events",
        "list_installed_models",
        "read_credentials",
        "read_log",
        "ask",
    )
} | {
    "replace_workspace": {
        "operationId": "replace_workspace",
        "parameters": {
            "path.name": "$response.body#/name",
            "header.if-match": "$response.header.ETag",
        },
        "requestBody": {"spec": "$response.body#/spec"},
        "description": "With `ETag` of the answer as If-Match, nobody's change is lost.",
    }
}


class _NameConvertor(StringConvertor):
    """What stands behind a colon is a deed, never a part of the name."""

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
OneWorkspace = Annotated[queries.WorkspaceQuery, Query()]
Creation = Annotated[queries.CreateQuery, Query()]
Change = Annotated[queries.ChangeQuery, Query()]
IfMatch = Annotated[
    str | None, Header(description="An ETag: change only this state of the spec; `*` for any.")
]
IfNoneMatch = Annotated[
    str | None, Header(description="An ETag: 304 if this state is the newest still.")
]


def shown(view: View, status: int = 200, *, dry_run: bool = False, **headers: str) -> Response:
    """What a dry run shows was never so: its ETag must not pass for that of a state to come."""
    return Response(
        view.body, status, {} if dry_run else {"ETag": view.etag, **headers}, media_type=JSON
    )


def documented(
    status: int,
    description: str,
    model: Any = WorkspaceDocument,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> dict[int | str, Any]:
    """An answer for OpenAPI, with `more` headers."""
    linked = {"links": _LINKS} if model is WorkspaceDocument else {}
    return {
        status: {"description": description, "model": model, "headers": {**_ETAG, **more}, **linked}
    }


def location(view: View) -> str:
    return f"/api/v1/workspaces/{view.name}"


@router.get(
    "/workspaces",
    summary="List workspaces",
    responses={
        **documented(200, "A page.", WorkspaceList),
        304: {"description": "Unchanged."},
        **responses(),
    },
)
async def list_workspaces(
    who: CurrentCaller,
    use: ServicesDep,
    asked: Annotated[queries.ListQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Those that you may see, in the order of their names. Pages stay stable: a workspace that
    comes or goes moves no other onto a page twice or off every page."""
    views, next_page = await use.workspaces.page(who, asked.filter, asked.page, asked.limit)
    etag = pages.etag(views, next_page, asked.paths)
    if unchanged(etag, if_none_match):
        return Response(status_code=304, headers={"ETag": etag})

    async def begin() -> Pieces:
        return _passed(joined(pages.parts(views, next_page, asked.paths)))

    return await streamed(use.lists, who.username, begin, JSON, {"ETag": etag})


async def _passed(pieces: Iterable[bytes]) -> Pieces:
    for each in pieces:
        yield each


@router.post(
    "/workspaces",
    summary="Create a workspace",
    status_code=201,
    responses={
        **documented(201, "Made; it comes up now.", more=_LOCATION),
        200: {
            "description": "The same request has made it before; or what a dry run would make.",
            "model": WorkspaceDocument,
            "headers": {**_ETAG, **_LOCATION},
        },
        **responses(409, 415),
    },
)
async def create_workspace(
    who: CurrentCaller, use: ServicesDep, how: Creation, asked: WorkspaceCreate
) -> Response:
    """Names are unique in the whole cluster. The same request by the same caller may be repeated:
    it makes one workspace."""
    view, is_new = await use.workspaces.create(who, asked, dry_run=how.dry_run)
    status = 201 if is_new and not how.dry_run else 200
    return shown(view, status, dry_run=how.dry_run, Location=location(view))


@router.get(
    "/workspaces:watch",
    summary="Watch workspaces",
    responses={
        200: {
            "description": "Server-sent events: `reset`, `ADDED`, `MODIFIED`, `DELETED` (data: a "
            "workspace), `synced`, `end` (data: a problem, or a `detail`).",
            "content": server_sent(
                _WATCHED, "reset", "ADDED", "MODIFIED", "DELETED", "synced", "end"
            ),
        },
        **responses(),
    },
    response_class=StreamingResponse,
)
async def watch_workspaces(
    who: CurrentCaller,
    use: ServicesDep,
    came: RequestCredential,
    asked: Annotated[queries.WatchQuery, Query()],
    last_event_id: Annotated[
        str | None,
        Header(description="The last `id` seen: go on from there, or begin anew if that can't be."),
    ] = None,
) -> Response:
    """Every state that stays is told at least once, and never an older one after a newer. After
    `reset` forget what you had: everything there is follows, then `synced`. A stream that breaks
    goes on with Last-Event-ID, at any replica."""

    async def scope() -> Scope:
        now = await identify(use, came)
        return await use.access.scope(
            now, "watch", lambda: {asked.team} if asked.team else use.directory.all_teams()
        )

    seen = await scope()
    if not seen:
        raise problems.forbidden(who.username, "watch", "aichatworkspaces", asked.team or "any")
    watcher = watch.Watcher(
        use.directory,
        scope,
        lambda view: asked.team in (None, view.team) and asked.name in (None, view.name),
        use.stopping,
        query=f"{asked.team} {asked.name}",
    )
    mark = watch.ResumeToken.read(last_event_id)
    if mark is not None and mark.seen != watcher.seen(seen):
        mark = None

    async def begin() -> Pieces:
        return watcher.events(await watch.resume(use.directory, mark, use.workspaces))

    return await streamed(use.streams, who.username, begin, "text/event-stream")


@router.get(
    f"/workspaces/{WORKSPACE_PATH}",
    summary="Read a workspace",
    responses={
        **documented(200, "The workspace."),
        304: {"description": "Unchanged."},
        **responses(404),
    },
)
async def read_workspace(
    who: CurrentCaller,
    use: ServicesDep,
    name: Name,
    of: OneWorkspace,
    if_none_match: IfNoneMatch = None,
) -> Response:
    view = await use.workspaces.find(who, "get", name, of.team)
    if unchanged(view.etag, if_none_match):
        return Response(status_code=304, headers={"ETag": view.etag})
    return shown(view)


@router.put(
    f"/workspaces/{WORKSPACE_PATH}",
    summary="Replace a workspace's spec",
    responses={
        **documented(200, "It was so already."),
        **documented(202, "Written; the workspace follows."),
        **responses(404, 409, 412, 415, 428),
    },
)
async def replace_workspace(
    who: CurrentCaller,
    use: ServicesDep,
    name: Name,
    how: Change,
    asked: WorkspaceReplace,
    if_match: IfMatch = None,
) -> Response:
    """What is left out goes back to its default. If-Match is required, so that nobody's change is
    lost."""
    if if_match is None:
        raise problems.if_match_missing()
    view, changed = await use.workspaces.replace(
        who, name, asked.spec, team=how.team, if_match=if_match, dry_run=how.dry_run
    )
    return shown(view, 202 if changed else 200, dry_run=how.dry_run)


@router.patch(
    f"/workspaces/{WORKSPACE_PATH}",
    summary="Change fields of a workspace's spec",
    responses={
        **documented(200, "It was so already."),
        **documented(202, "Written; the workspace follows."),
        **responses(404, 409, 412, 415),
    },
)
async def patch_workspace(
    who: CurrentCaller,
    use: ServicesDep,
    name: Name,
    how: Change,
    asked: Annotated[WorkspacePatch, Body(media_type=MERGE_PATCH)],
    if_match: IfMatch = None,
) -> Response:
    view, changed = await use.workspaces.patch(
        who, name, asked.spec, team=how.team, if_match=if_match, dry_run=how.dry_run
    )
    return shown(view, 202 if changed else 200, dry_run=how.dry_run)


@router.delete(
    f"/workspaces/{WORKSPACE_PATH}",
    summary="Delete a workspace",
    status_code=202,
    responses={**documented(202, "It goes now, with its namespace."), **responses(404, 409, 412)},
)
async def delete_workspace(
    who: CurrentCaller,
    use: ServicesDep,
    name: Name,
    how: Change,
    if_match: IfMatch = None,
) -> Response:
    """With all its data, unless `spec.deletionPolicy` is Retain."""
    return shown(
        await use.workspaces.delete(
            who, name, team=how.team, if_match=if_match, dry_run=how.dry_run
        ),
        202,
        dry_run=how.dry_run,
    )


@router.post(
    f"/workspaces/{WORKSPACE_PATH}:suspend",
    summary="Suspend a workspace",
    responses={
        **documented(200, "It was suspended already."),
        **documented(202, "Both workloads stop; data and objects stay."),
        **responses(404, 409, 412, 415),
    },
)
async def suspend_workspace(
    who: CurrentCaller, use: ServicesDep, name: Name, how: Change, if_match: IfMatch = None
) -> Response:
    return await _suspended(use, who, name, how, if_match, on=True)


@router.post(
    f"/workspaces/{WORKSPACE_PATH}:resume",
    summary="Resume a workspace",
    responses={
        **documented(200, "It was running already."),
        **documented(202, "Both workloads start; no model is downloaded again."),
        **responses(404, 409, 412, 415),
    },
)
async def resume_workspace(
    who: CurrentCaller, use: ServicesDep, name: Name, how: Change, if_match: IfMatch = None
) -> Response:
    return await _suspended(use, who, name, how, if_match, on=False)


async def _suspended(
    use: Services,
    who: Caller,
    name: str,
    how: queries.ChangeQuery,
    if_match: str | None,
    *,
    on: bool,
) -> Response:
    view, changed = await use.workspaces.patch(
        who,
        name,
        {"suspended": on},
        team=how.team,
        if_match=if_match,
        dry_run=how.dry_run,
        action="suspend" if on else "resume",
    )
    return shown(view, 202 if changed else 200, dry_run=how.dry_run)
