"""/api/v1/workspaces: create, list, read, replace, patch, delete, suspend, resume, watch."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from aichat_workspace.api import listing, problems, queries, watch
from aichat_workspace.api.access import Scope
from aichat_workspace.api.answers import problems as answers
from aichat_workspace.api.identity import Caller
from aichat_workspace.api.preconditions import unchanged
from aichat_workspace.api.schemas import (
    WorkspaceCreate,
    WorkspaceDocument,
    WorkspaceList,
    WorkspacePatch,
    WorkspaceReplace,
)
from aichat_workspace.api.services import Authenticated, Came, Services, Use, Who, identify
from aichat_workspace.api.views import View
from aichat_workspace.domain import names

router = APIRouter(prefix="/api/v1", tags=["workspaces"], dependencies=Authenticated)

_JSON: Final = "application/json"
_ETAG: Final = {
    "ETag": {"description": "For If-Match and If-None-Match.", "schema": {"type": "string"}}
}

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
OfOne = Annotated[queries.OfOne, Query()]
Creation = Annotated[queries.Creation, Query()]
Change = Annotated[queries.Change, Query()]
IfMatch = Annotated[
    str | None, Header(description="An ETag: change only this state of the spec; `*` for any.")
]
IfNoneMatch = Annotated[
    str | None, Header(description="An ETag: 304 if this state is the newest still.")
]


def shown(view: View, status: int = 200, **headers: str) -> Response:
    return Response(view.body, status, {"ETag": view.etag, **headers}, _JSON)


def documented(
    status: int, description: str, model: Any = WorkspaceDocument
) -> dict[int | str, Any]:
    return {status: {"description": description, "model": model, "headers": _ETAG}}


def location(view: View) -> str:
    return f"/api/v1/workspaces/{view.name}"


@router.get(
    "/workspaces",
    summary="List workspaces",
    responses={
        **documented(200, "A page.", WorkspaceList),
        304: {"description": "Unchanged."},
        **answers(),
    },
)
async def list_workspaces(
    who: Who,
    use: Use,
    asked: Annotated[queries.Listing, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Those that you may see, in the order of their names. Pages stay stable: a workspace that
    comes or goes moves no other onto a page twice or off every page."""
    views, next_page = await use.workspaces.page(who, asked.filter, asked.page, asked.limit)
    etag = listing.etag(views, next_page, asked.paths)
    if unchanged(etag, if_none_match):
        return Response(status_code=304, headers={"ETag": etag})
    return Response(listing.body(views, next_page, asked.paths), 200, {"ETag": etag}, _JSON)


@router.post(
    "/workspaces",
    summary="Create a workspace",
    status_code=201,
    responses={
        **documented(201, "Made; it comes up now. Location says where to follow it."),
        **documented(200, "The same request has made it before."),
        **answers(409, 413),
    },
)
async def create_workspace(who: Who, use: Use, how: Creation, asked: WorkspaceCreate) -> Response:
    """Names are unique in the whole cluster. The same request by the same caller may be repeated:
    it makes one workspace."""
    view, is_new = await use.workspaces.create(who, asked, dry_run=how.dry_run)
    return shown(view, 201 if is_new else 200, Location=location(view))


@router.get(
    "/workspaces:watch",
    summary="Watch workspaces",
    responses={
        200: {
            "description": "Server-sent events: `reset`, `ADDED`, `MODIFIED`, `DELETED` (data: a "
            "workspace), `synced`, `end`.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **answers(),
    },
    response_class=StreamingResponse,
)
async def watch_workspaces(
    who: Who,
    use: Use,
    came: Came,
    asked: Annotated[queries.Watching, Query()],
    last_event_id: Annotated[
        int | None, Header(ge=0, description="The last `id` seen: go on from there.")
    ] = None,
) -> Response:
    """Every state that stays is told at least once, and never an older one after a newer. After
    `reset` forget what you had: everything there is follows, then `synced`. A stream that breaks
    goes on with Last-Event-ID, at any replica."""

    async def scope() -> Scope:
        await identify(use, came)
        teams = {asked.team} if asked.team else use.directory.all_teams()
        return await use.access.scope(who, "watch", teams)

    if not await scope():
        raise problems.forbidden(who.username, "watch", "aichatworkspaces", asked.team or "any")
    position = await watch.resume(use.directory, last_event_id, use.workspaces.newest)
    watcher = watch.Watcher(
        use.directory,
        scope,
        lambda view: asked.team in (None, view.team) and asked.name in (None, view.name),
        use.stopping,
    )
    return streamed(use, who, watcher.events(position), "text/event-stream")


@router.get(
    "/workspaces/{name}",
    summary="Read a workspace",
    responses={
        **documented(200, "The workspace."),
        304: {"description": "Unchanged."},
        **answers(404),
    },
)
async def read_workspace(
    who: Who, use: Use, name: Name, of: OfOne, if_none_match: IfNoneMatch = None
) -> Response:
    view = await use.workspaces.find(who, "get", name, of.team)
    if unchanged(view.etag, if_none_match):
        return Response(status_code=304, headers={"ETag": view.etag})
    return shown(view)


@router.put(
    "/workspaces/{name}",
    summary="Replace a workspace's spec",
    responses={
        **documented(200, "It was so already."),
        **documented(202, "Written; the workspace follows."),
        **answers(404, 409, 412, 413, 428),
    },
)
async def replace_workspace(
    who: Who,
    use: Use,
    name: Name,
    how: Change,
    asked: WorkspaceReplace,
    if_match: IfMatch = None,
) -> Response:
    """What is left out goes back to its default. If-Match is required, so that nobody's change is
    lost."""
    if if_match is None:
        raise problems.Problem(
            428,
            "precondition-required",
            "Send If-Match with the ETag that you read, so that nobody's change is lost; or `*`.",
        )
    view, changed = await use.workspaces.replace(
        who, name, asked.spec, team=how.team, if_match=if_match, dry_run=how.dry_run
    )
    return shown(view, 202 if changed else 200)


@router.patch(
    "/workspaces/{name}",
    summary="Change fields of a workspace's spec",
    responses={
        **documented(200, "It was so already."),
        **documented(202, "Written; the workspace follows."),
        **answers(404, 409, 412, 413),
    },
)
async def patch_workspace(
    who: Who,
    use: Use,
    name: Name,
    how: Change,
    asked: Annotated[WorkspacePatch, Body(media_type="application/merge-patch+json")],
    if_match: IfMatch = None,
) -> Response:
    view, changed = await use.workspaces.patch(
        who, name, asked.spec, team=how.team, if_match=if_match, dry_run=how.dry_run
    )
    return shown(view, 202 if changed else 200)


@router.delete(
    "/workspaces/{name}",
    summary="Delete a workspace",
    status_code=202,
    responses={**documented(202, "It goes now, with its namespace."), **answers(404, 412)},
)
async def delete_workspace(
    who: Who,
    use: Use,
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
    )


@router.post(
    "/workspaces/{name}:suspend",
    summary="Suspend a workspace",
    responses={
        **documented(200, "It was suspended already."),
        **documented(202, "Both workloads stop; data and objects stay."),
        **answers(404, 409, 412),
    },
)
async def suspend_workspace(
    who: Who, use: Use, name: Name, of: OfOne, if_match: IfMatch = None
) -> Response:
    return await _suspended(use, who, name, of.team, if_match, on=True)


@router.post(
    "/workspaces/{name}:resume",
    summary="Resume a workspace",
    responses={
        **documented(200, "It was running already."),
        **documented(202, "Both workloads start; no model is downloaded again."),
        **answers(404, 409, 412),
    },
)
async def resume_workspace(
    who: Who, use: Use, name: Name, of: OfOne, if_match: IfMatch = None
) -> Response:
    return await _suspended(use, who, name, of.team, if_match, on=False)


async def _suspended(
    use: Services, who: Caller, name: str, team: str | None, if_match: str | None, *, on: bool
) -> Response:
    view, changed = await use.workspaces.patch(
        who,
        name,
        {"suspended": on},
        team=team,
        if_match=if_match,
        action="suspend" if on else "resume",
    )
    return shown(view, 202 if changed else 200)


def streamed(
    use: Services, who: Caller, pieces: AsyncIterator[bytes], media_type: str
) -> StreamingResponse:
    """A stream that counts as the caller's while it lasts. Raises Problem (429)."""
    use.streams.require_room(who.username)

    async def counted() -> AsyncIterator[bytes]:
        with use.streams.held(who.username):
            async for each in pieces:
                yield each

    # Proxies in front are told to pass on each piece as it comes.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(counted(), media_type=media_type, headers=headers)
