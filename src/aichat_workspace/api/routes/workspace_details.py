"""Routes for one workspace's events, history, logs, diagnosis, models, credentials and
accounts."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from aichat_workspace.api.auth.authorization import AccessRequest
from aichat_workspace.api.dependencies import (
    AUTHENTICATED,
    CurrentCaller,
    RequestCredential,
    ServicesDep,
)
from aichat_workspace.api.openapi.responses import event_stream, responses
from aichat_workspace.api.routes.long_requests import (
    wants_events,
    while_authorized,
)
from aichat_workspace.api.routes.queries import WorkspaceLogQuery
from aichat_workspace.api.routes.workspace_parameters import (
    WORKSPACE_PATH,
    Name,
    WorkspaceParameters,
)
from aichat_workspace.api.schemas.chat_accounts import ChatAccount, ChatInvitation
from aichat_workspace.api.schemas.history import History
from aichat_workspace.api.schemas.workspace import (
    Credentials,
    Diagnosis,
    EventList,
    InstalledModels,
)
from aichat_workspace.api.web.responses import cluster_errors
from aichat_workspace.api.web.responses.json_responses import json_response
from aichat_workspace.api.web.responses.security_headers import NO_STORE
from aichat_workspace.api.web.responses.streaming import (
    EVENT_STREAM,
    HEARTBEAT,
    NO_BUFFERING,
    Pieces,
    server_sent_event,
    stream_response,
    with_heartbeats,
)
from aichat_workspace.api.workspaces.diagnosis import diagnose
from aichat_workspace.api.workspaces.logs.lines import LogLine
from aichat_workspace.api.workspaces.logs.reader import Workload
from aichat_workspace.api.workspaces.model_server import model_documents

router = APIRouter(
    prefix=f"/api/v1/workspaces/{WORKSPACE_PATH}",
    tags=["one workspace"],
    dependencies=AUTHENTICATED,
)

_LOG_EXAMPLE: Final = 'time=2026-11-24T09:00:00Z level=INFO msg="Listening on [::]:11434"\n'
_LINES_EXAMPLE: Final = """\
id: 2026-11-24T09:00:00.123456789Z
event: line
data: {"time":"2026-11-24T09:00:00.123456789Z","text":"Listening on [::]:11434"}

: heartbeat

event: end
data: {}
"""
_LIMITS: Final = "Log-Limits"
_LOG_TYPE: Final = "text/plain; charset=utf-8"


@router.get(
    "/events",
    summary="What happened to a workspace",
    responses={200: {"model": EventList, "description": "The newest first."}, **responses(404)},
)
async def list_events(
    caller: CurrentCaller, services: ServicesDep, name: Name, query: WorkspaceParameters
) -> Response:
    """Events of the resource and of everything in its namespace, the newest 200, as of two seconds
    ago at most."""
    view = await services.workspaces.find(caller, "get", name, query.team)
    return json_response({"items": await services.details.events(view)})


@router.get(
    "/history",
    summary="Who changed a workspace",
    responses={200: {"description": "The newest first."}, **responses(404)},
)
async def read_history(
    caller: CurrentCaller, services: ServicesDep, name: Name, query: WorkspaceParameters
) -> History:
    """The last twenty changes by this API, and when each field manager last changed the resource
    another way, by kubectl or GitOps. Everyone who may write to the resource may write this
    record, too: it informs people. The audit logs of the API and of Kubernetes are the proof."""
    view = await services.workspaces.find(caller, "get", name, query.team)
    return await services.details.history(view)


@router.get(
    "/diagnosis",
    summary="Why a workspace is not ready",
    responses={200: {"model": Diagnosis, "description": "What is wrong."}, **responses(404)},
)
async def read_diagnosis(
    caller: CurrentCaller, services: ServicesDep, name: Name, query: WorkspaceParameters
) -> Response:
    """All problems of the workspace, each with what to do."""
    view = await services.workspaces.find(caller, "get", name, query.team)
    return json_response(diagnose(view.document["status"]))


@router.get(
    "/models",
    summary="The models that a workspace has",
    responses={
        200: {
            "model": InstalledModels,
            "description": "As its server lists them, or did two seconds ago at most.",
        },
        **responses(404, 409, 502),
    },
)
async def list_installed_models(
    caller: CurrentCaller, services: ServicesDep, name: Name, query: WorkspaceParameters
) -> Response:
    """As the workspace's server has them; the progress of downloads is in `status.models`."""
    view = await services.workspaces.find(caller, "get", name, query.team)
    models = await services.model_servers.models(view)
    facts = await services.model_servers.facts(view, models)
    return json_response({"items": model_documents(view, models, facts)})


@router.get(
    "/logs/{workload}",
    summary="A workload's log",
    responses={
        200: {
            "description": "The log as text, whose connection breaks off where it is not whole; "
            "or with `Accept: text/event-stream` as server-sent events: `line` (data: "
            "`{time, text}`), comments while nothing is written, then `end` or `error` (data: a "
            "problem).",
            "content": {
                "text/plain": {"schema": {"type": "string"}, "example": _LOG_EXAMPLE},
                **event_stream(_LINES_EXAMPLE, "line", "end", "error"),
            },
            "headers": {
                _LIMITS: {
                    "description": "The limits in force, as `tail=200, limitBytes=4194304`.",
                    "schema": {"type": "string"},
                }
            },
        },
        **responses(404, 409),
    },
    response_class=StreamingResponse,
)
async def read_log(
    request: Request,
    caller: CurrentCaller,
    services: ServicesDep,
    credential: RequestCredential,
    name: Name,
    workload: Annotated[Workload, Path(description="Whose: the model server's or the chat's.")],
    query: Annotated[WorkspaceLogQuery, Query()],
    last_event_id: Annotated[
        str | None, Header(description="The last `id` seen, in place of `sinceTime`.")
    ] = None,
) -> Response:
    """Needs `get` on `aichatworkspaces/log`. An event's `id` is the time of its line: send the last
    one as Last-Event-ID, or as `sinceTime`, and the log goes on without gap or doubles."""
    view = await services.workspaces.find(caller, "get", name, query.team, "log")
    access_request = AccessRequest("get", view.team, view.resource, "log")

    @asynccontextmanager
    async def begin() -> AsyncIterator[Pieces]:
        async with services.logs.open(view, workload, query) as chunks:
            yield while_authorized(services, credential, access_request, name, chunks)

    @asynccontextmanager
    async def begin_events() -> AsyncIterator[Pieces]:
        resumed = query.resumed_after(last_event_id)
        async with services.logs.open_lines(view, workload, resumed) as unchecked:
            lines = while_authorized(services, credential, access_request, name, unchecked)
            yield with_heartbeats(_line_events(lines), HEARTBEAT)

    headers = {**NO_BUFFERING, _LIMITS: query.limits()}
    if wants_events(request):
        return await stream_response(
            services.streams, caller.username, begin_events, EVENT_STREAM, headers
        )
    return await stream_response(services.streams, caller.username, begin, _LOG_TYPE, headers)


async def _line_events(lines: AsyncGenerator[LogLine, None]) -> Pieces:
    """Yield the lines as events, then `end` for a complete log, else `error`."""
    try:
        async with aclosing(lines):
            async for line in lines:
                text = line.text.decode(errors="replace")
                data = orjson.dumps({"time": line.time or None, "text": text})
                yield server_sent_event("line", data, line.time or None)
    except cluster_errors.REPORTABLE_ERRORS as error:
        document = cluster_errors.as_problem(error).document("")
        yield server_sent_event("error", orjson.dumps(document))
    else:
        yield server_sent_event("end", b"{}")


@router.get(
    "/credentials",
    summary="How the first administrator signs in",
    responses={
        200: {"model": Credentials, "description": "As they were made."},
        **responses(404, 409),
    },
)
async def read_credentials(
    caller: CurrentCaller, services: ServicesDep, name: Name, query: WorkspaceParameters
) -> Response:
    """Needs `get` on `aichatworkspaces/credentials`. Each reading is recorded."""
    view = await services.workspaces.find(caller, "get", name, query.team, "credentials")
    return json_response(await services.details.credentials(view), headers=NO_STORE)


@router.post(
    ":inviteToChat",
    summary="Make an account in a workspace's chat",
    status_code=201,
    responses={
        201: {"model": ChatAccount, "description": "The account; its password is shown this once."},
        **responses(404, 409, 415, 502),
    },
)
async def invite_to_chat(
    caller: CurrentCaller,
    services: ServicesDep,
    name: Name,
    query: WorkspaceParameters,
    body: ChatInvitation,
) -> Response:
    """Needs `get` on `aichatworkspaces/credentials`: who may read how the first administrator signs
    in can make accounts in the chat. The password is new and stored by the chat alone; hand it to
    the person. 409 for an address that has an account, and where people sign in with an identity
    provider alone."""
    view = await services.workspaces.find(caller, "get", name, query.team, "credentials")
    account = await services.chat_accounts.invite(view, body)
    return json_response(account.model_dump(by_alias=True), 201, NO_STORE)
