"""Routes for one workspace's events, logs, diagnosis, models, prompts and credentials."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from aichat_workspace.api.auth.authorization import AccessRequest
from aichat_workspace.api.dependencies import (
    AUTHENTICATED,
    Credential,
    CurrentCaller,
    RequestCredential,
    Services,
    ServicesDep,
    identify,
)
from aichat_workspace.api.openapi.responses import event_stream, responses
from aichat_workspace.api.routes.queries import WorkspaceLogQuery
from aichat_workspace.api.routes.workspaces import WORKSPACE_PATH, Name, WorkspaceParameters
from aichat_workspace.api.schemas.workspace import (
    Credentials,
    Diagnosis,
    EventList,
    InstalledModels,
    Prompt,
    Reply,
)
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.body_limits import JSON
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.web.streaming import (
    Pieces,
    cancel_on_disconnect,
    stream_response,
    stream_while_authorized,
)
from aichat_workspace.api.workspaces.details import Workload, model_server_problem
from aichat_workspace.api.workspaces.diagnosis import diagnose
from aichat_workspace.api.workspaces.watch import server_sent_event
from aichat_workspace.ollama.errors import OllamaError

router = APIRouter(
    prefix=f"/api/v1/workspaces/{WORKSPACE_PATH}",
    tags=["one workspace"],
    dependencies=AUTHENTICATED,
)

_NO_STORE: Final = {"Cache-Control": "no-store"}
_LOG_EXAMPLE: Final = 'time=2026-11-24T09:00:00Z level=INFO msg="Listening on [::]:11434"\n'
_PROMPT_EXAMPLE: Final = """\
event: token
data: {"text":"Good "}

event: token
data: {"text":"morning!"}

event: done
data: {"model":"gemma2:2b"}
"""
_LOG_TYPE: Final = "text/plain; charset=utf-8"
_REPLY_SECONDS: Final = 300.0
_MAX_REPLY_BYTES: Final = 1024 * 1024
_STREAM_ADVICE: Final = "Ask with `stream`, and read it as it comes."


def _json(document: object, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), 200, headers, JSON)


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
    return _json({"items": await services.details.events(view)})


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
    return _json(diagnose(view.document["status"]))


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
    return _json({"items": await services.details.models(view)})


@router.get(
    "/logs/{workload}",
    summary="A workload's log",
    responses={
        200: {
            "description": "The log, as text. The connection breaks off where it is not whole.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _LOG_EXAMPLE}},
        },
        **responses(404, 409),
    },
    response_class=StreamingResponse,
)
async def read_log(
    caller: CurrentCaller,
    services: ServicesDep,
    credential: RequestCredential,
    name: Name,
    workload: Annotated[Workload, Path(description="Whose: the model server's or the chat's.")],
    query: Annotated[WorkspaceLogQuery, Query()],
) -> Response:
    """Needs `get` on `aichatworkspaces/log`."""
    view = await services.workspaces.find(caller, "get", name, query.team, "log")
    check = _permission_check(
        services, credential, AccessRequest("get", view.team, view.resource, "log"), name
    )

    async def begin() -> Pieces:
        return stream_while_authorized(
            await services.details.logs(view, workload, query), check, services.stopping
        )

    return await stream_response(services.streams, caller.username, begin, _LOG_TYPE)


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
    return _json(await services.details.credentials(view), _NO_STORE)


@router.post(
    ":prompt",
    summary="Ask a workspace's model",
    responses={
        200: {
            "model": Reply,
            "description": "The reply: with `stream`, server-sent events `token` (data: "
            '`{"text"}`), then `done` or `error` (data: a problem); else whole, as JSON.',
            "content": event_stream(_PROMPT_EXAMPLE, "token", "done", "error"),
        },
        **responses(404, 409, 415, 502, 504),
    },
)
async def ask(
    request: Request,
    caller: CurrentCaller,
    services: ServicesDep,
    credential: RequestCredential,
    name: Name,
    query: WorkspaceParameters,
    body: Prompt,
) -> Response:
    """Needs `create` on `aichatworkspaces/prompt`."""
    view = await services.workspaces.find(caller, "create", name, query.team, "prompt")
    check = _permission_check(
        services, credential, AccessRequest("create", view.team, view.resource, "prompt"), name
    )

    async def start_reply() -> tuple[str, AsyncGenerator[str, None]]:
        model, words = await services.details.ask(view, body)
        return model, stream_while_authorized(words, check, services.stopping)

    async def begin() -> Pieces:
        return _token_events(*await start_reply())

    async def whole_reply() -> Response:
        with services.streams.slot(caller.username):
            model, words = await start_reply()
            try:
                return _json({"model": model, "reply": await _join_reply(words)}, _NO_STORE)
            except OllamaError as error:
                raise model_server_problem(view, error) from None

    if body.stream:
        response = stream_response(services.streams, caller.username, begin, "text/event-stream")
        return await cancel_on_disconnect(request, services.stopping, response)
    try:
        async with asyncio.timeout(_REPLY_SECONDS):
            return await cancel_on_disconnect(request, services.stopping, whole_reply())
    except TimeoutError:
        minutes = f"{_REPLY_SECONDS / 60:.0f} minutes"
        raise ProblemError(
            504, "takes-too-long", f"The reply took longer than {minutes}. {_STREAM_ADVICE}"
        ) from None


def _permission_check(
    services: Services, credential: Credential, access_request: AccessRequest, name: str
) -> Callable[[], Awaitable[None]]:
    """Return a check that raises ProblemError once the caller may not do it any more."""

    async def check() -> None:
        await services.authorizer.require(
            await identify(services, credential), access_request, name
        )

    return check


async def _join_reply(words: AsyncGenerator[str, None]) -> str:
    """Return the whole reply. Raises ProblemError (502) when it is too long."""
    reply, size = [], 0
    async with aclosing(words):
        async for word in words:
            reply.append(word)
            size += len(word.encode())
            if size > _MAX_REPLY_BYTES:
                detail = f"The reply is longer than {_MAX_REPLY_BYTES} bytes. {_STREAM_ADVICE}"
                raise ProblemError(502, "reply-too-long", detail)
    return "".join(reply)


async def _token_events(model: str, words: AsyncGenerator[str, None]) -> Pieces:
    """Yield the words as events, then `done` for a complete reply, else `error`."""
    try:
        async with aclosing(words):
            async for word in words:
                yield server_sent_event("token", orjson.dumps({"text": word}))
    except OllamaError as error:
        yield _error_event(ProblemError(502, "model-error", f"The reply broke off: {error}"))
    except problems.REPORTABLE_ERRORS as error:
        yield _error_event(problems.as_problem(error))
    else:
        yield server_sent_event("done", orjson.dumps({"model": model}))


def _error_event(problem: ProblemError) -> bytes:
    return server_sent_event("error", orjson.dumps(problem.document("")))
