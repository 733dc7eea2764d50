"""What belongs to one workspace: events, logs, diagnosis, models, prompts, credentials."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from aichat_workspace.api.auth import audit_log
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
from aichat_workspace.api.openapi.responses import responses, server_sent
from aichat_workspace.api.routes.queries import WorkspaceLogQuery
from aichat_workspace.api.routes.workspaces import WORKSPACE_PATH, Name, OneWorkspace
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
    stream_while_authorized,
    streamed,
)
from aichat_workspace.api.workspaces.details import Workload, no_answer
from aichat_workspace.api.workspaces.diagnosis import diagnose
from aichat_workspace.api.workspaces.watch import event
from aichat_workspace.ollama.errors import OllamaError

router = APIRouter(
    prefix=f"/api/v1/workspaces/{WORKSPACE_PATH}",
    tags=["one workspace"],
    dependencies=AUTHENTICATED,
)

_NO_STORE: Final = {"Cache-Control": "no-store"}
_LOG: Final = 'time=2026-11-24T09:00:00Z level=INFO msg="Listening on [::]:11434"\n'
_SPOKEN: Final = """\
event: token
data: {"text":"Good "}

event: token
data: {"text":"morning!"}

event: done
data: {"model":"gemma2:2b"}
"""
_TEXT: Final = "text/plain; charset=utf-8"
_WHOLE_SECONDS: Final = 300.0
_WHOLE_BYTES: Final = 1024 * 1024
_STREAM_IT: Final = "Ask with `stream`, and read it as it comes."


def _json(document: object, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), 200, headers, JSON)


@router.get(
    "/events",
    summary="What happened to a workspace",
    responses={200: {"model": EventList, "description": "The newest first."}, **responses(404)},
)
async def list_events(
    who: CurrentCaller, use: ServicesDep, name: Name, of: OneWorkspace
) -> Response:
    """Events of the resource and of everything in its namespace, the newest 200, as of two seconds
    ago at most."""
    view = await use.workspaces.find(who, "get", name, of.team)
    return _json({"items": await use.tenants.events(view)})


@router.get(
    "/diagnosis",
    summary="Why a workspace is not ready",
    responses={200: {"model": Diagnosis, "description": "What is wrong."}, **responses(404)},
)
async def read_diagnosis(
    who: CurrentCaller, use: ServicesDep, name: Name, of: OneWorkspace
) -> Response:
    """Everything that is not as it should be, each with what to do."""
    view = await use.workspaces.find(who, "get", name, of.team)
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
    who: CurrentCaller, use: ServicesDep, name: Name, of: OneWorkspace
) -> Response:
    """Asks the workspace's server; how far downloads are is in `status.models`."""
    view = await use.workspaces.find(who, "get", name, of.team)
    return _json({"items": await use.tenants.models(view)})


@router.get(
    "/logs/{workload}",
    summary="A workload's log",
    responses={
        200: {
            "description": "The log, as text. The connection breaks off where it is not whole.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _LOG}},
        },
        **responses(404, 409),
    },
    response_class=StreamingResponse,
)
async def read_log(
    who: CurrentCaller,
    use: ServicesDep,
    came: RequestCredential,
    name: Name,
    workload: Annotated[Workload, Path(description="Whose: the model server's or the chat's.")],
    wish: Annotated[WorkspaceLogQuery, Query()],
) -> Response:
    """Needs `get` on `aichatworkspaces/log`."""
    view = await use.workspaces.find(who, "get", name, wish.team, "log")
    still = _still(use, came, AccessRequest("get", view.team, view.resource, "log"), name)

    async def begin() -> Pieces:
        return stream_while_authorized(
            await use.tenants.logs(view, workload, wish), still, use.stopping
        )

    return await streamed(use.streams, who.username, begin, _TEXT)


@router.get(
    "/credentials",
    summary="How the first administrator signs in",
    responses={
        200: {"model": Credentials, "description": "As they were made."},
        **responses(404, 409),
    },
)
async def read_credentials(
    who: CurrentCaller, use: ServicesDep, name: Name, of: OneWorkspace
) -> Response:
    """Needs `get` on `aichatworkspaces/credentials`. Each showing is recorded."""
    view = await use.workspaces.find(who, "get", name, of.team, "credentials")
    shown = await use.tenants.credentials(view)
    audit_log.record(who, "show credentials", team=view.team, name=name, outcome=200)
    return _json(shown, _NO_STORE)


@router.post(
    ":prompt",
    summary="Ask a workspace's model",
    responses={
        200: {
            "model": Reply,
            "description": "The reply: with `stream`, server-sent events `token` (data: "
            '`{"text"}`), then `done` or `error` (data: a problem); else whole, as JSON.',
            "content": server_sent(_SPOKEN, "token", "done", "error"),
        },
        **responses(404, 409, 415, 502, 504),
    },
)
async def ask(
    request: Request,
    who: CurrentCaller,
    use: ServicesDep,
    came: RequestCredential,
    name: Name,
    of: OneWorkspace,
    asked: Prompt,
) -> Response:
    """Needs `create` on `aichatworkspaces/prompt`."""
    view = await use.workspaces.find(who, "create", name, of.team, "prompt")
    still = _still(use, came, AccessRequest("create", view.team, view.resource, "prompt"), name)

    async def words() -> tuple[str, AsyncGenerator[str, None]]:
        model, said = await use.tenants.ask(view, asked)
        return model, stream_while_authorized(said, still, use.stopping)

    async def begin() -> Pieces:
        return _tokens(*await words())

    async def whole() -> Response:
        with use.streams.place(who.username):
            model, said = await words()
            try:
                return _json({"model": model, "reply": await _reply(said)}, _NO_STORE)
            except OllamaError as error:
                raise no_answer(view, error) from None

    if asked.stream:
        answer = streamed(use.streams, who.username, begin, "text/event-stream")
        return await cancel_on_disconnect(request, use.stopping, answer)
    try:
        async with asyncio.timeout(_WHOLE_SECONDS):
            return await cancel_on_disconnect(request, use.stopping, whole())
    except TimeoutError:
        minutes = f"{_WHOLE_SECONDS / 60:.0f} minutes"
        raise ProblemError(
            504, "takes-too-long", f"The reply took longer than {minutes}. {_STREAM_IT}"
        ) from None


def _still(
    use: Services, came: Credential, deed: AccessRequest, name: str
) -> Callable[[], Awaitable[None]]:
    """Whether the caller may go on, as of now. Raises ProblemError when not."""

    async def check() -> None:
        await use.access.require(await identify(use, came), deed, name)

    return check


async def _reply(words: AsyncGenerator[str, None]) -> str:
    """All of them. Raises ProblemError (502) when they are too many."""
    reply, size = [], 0
    async with aclosing(words):
        async for each in words:
            reply.append(each)
            size += len(each.encode())
            if size > _WHOLE_BYTES:
                told = f"The reply is longer than {_WHOLE_BYTES} bytes. {_STREAM_IT}"
                raise ProblemError(502, "reply-too-long", told)
    return "".join(reply)


async def _tokens(model: str, words: AsyncGenerator[str, None]) -> Pieces:
    """The words as events, and the last event says whether these were all."""
    try:
        async with aclosing(words):
            async for each in words:
                yield event("token", orjson.dumps({"text": each}))
    except OllamaError as error:
        yield _error(ProblemError(502, "model-error", f"The reply broke off: {error}"))
    except problems.TOLD as error:
        yield _error(problems.of(error))
    else:
        yield event("done", orjson.dumps({"model": model}))


def _error(problem: ProblemError) -> bytes:
    return event("error", orjson.dumps(problem.document("")))
