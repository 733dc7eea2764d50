"""Prompts to a workspace's models."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response

from aichat_workspace.api.dependencies import (
    AUTHENTICATED,
    CurrentCaller,
    RequestCredential,
    ServicesDep,
)
from aichat_workspace.api.openapi.responses import event_stream, responses
from aichat_workspace.api.routes.long_requests import (
    STREAM_ADVICE,
    OnBytes,
    find_to_ask,
    respond_in_events,
    respond_whole,
    to_prompt,
    wants_events,
    while_authorized,
)
from aichat_workspace.api.routes.workspace_parameters import (
    WORKSPACE_PATH,
    Name,
    WorkspaceParameters,
)
from aichat_workspace.api.schemas.workspace import Prompt, Reply, ReplyEnd
from aichat_workspace.api.web.responses import cluster_errors
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.web.responses.streaming import Pieces, server_sent_event
from aichat_workspace.ollama import replies
from aichat_workspace.ollama.replies import ReplyPiece

router = APIRouter(
    prefix=f"/api/v1/workspaces/{WORKSPACE_PATH}",
    tags=["one workspace"],
    dependencies=AUTHENTICATED,
)

_PROMPT_EXAMPLE: Final = """\
event: token
data: {"text":"Good "}

: heartbeat

event: token
data: {"text":"morning!"}

event: done
data: {"model":"gemma2:2b","doneReason":"stop","promptTokens":11,"replyTokens":4,"seconds":0.8}
"""
_MAX_REPLY_BYTES: Final = 1024 * 1024
_UNSTATED: Final = replies.ReplyEnd(None, None, None, None)

Reading = AsyncGenerator[ReplyPiece, None]


@router.post(
    ":prompt",
    summary="Ask a workspace's model",
    responses={
        200: {
            "model": Reply,
            "description": "The reply: whole, as JSON; or with `Accept: text/event-stream` or "
            "`stream` as server-sent events: `thinking` and `token` (data: `{text}`), comments "
            "while the model loads or is silent, then `done` (data: how it ended) or `error` "
            "(data: a problem). The head comes within a second.",
            "content": event_stream(_PROMPT_EXAMPLE, "thinking", "token", "done", "error"),
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
    """Needs `create` on `aichatworkspaces/prompt`. A disconnect ends the model's work."""
    view = await find_to_ask(services, caller, name, query.team)
    model, unchecked = services.model_servers.ask(view, body)
    pieces = while_authorized(services, credential, to_prompt(view), name, unchecked)

    async def whole_reply(on_bytes: OnBytes) -> bytes:
        reply = await _join(model, pieces, on_bytes)
        return reply.model_dump_json(by_alias=True).encode()

    if body.stream or wants_events(request):
        return await respond_in_events(request, services, caller, pieces, partial(_events, model))
    return await respond_whole(request, services, caller, whole_reply)


def _end(model: str, end: replies.ReplyEnd) -> ReplyEnd:
    return ReplyEnd(
        model=model,
        done_reason=end.reason,
        prompt_tokens=end.prompt_tokens,
        reply_tokens=end.reply_tokens,
        seconds=end.seconds,
    )


async def _join(model: str, pieces: Reading, on_bytes: OnBytes) -> Reply:
    """Return the whole reply. Raises ProblemError (502) when it is too long, and what `on_bytes`
    raises of the size of a piece."""
    texts: list[str] = []
    thoughts: list[str] = []
    size, end = 0, _UNSTATED
    async with aclosing(pieces):
        async for piece in pieces:
            texts.append(piece.text)
            thoughts.append(piece.thinking)
            end = piece.end or end
            piece_bytes = len(piece.text.encode()) + len(piece.thinking.encode())
            on_bytes(piece_bytes)
            size += piece_bytes
            if size > _MAX_REPLY_BYTES:
                detail = f"The reply is longer than {_MAX_REPLY_BYTES} bytes. {STREAM_ADVICE}"
                raise ProblemError(502, "reply-too-long", detail)
    ending = _end(model, end).model_dump()
    return Reply(**ending, reply="".join(texts), thinking="".join(thoughts))


async def _events(model: str, pieces: Reading) -> Pieces:
    """Yield the pieces as events, then `done` for a complete reply, else `error`."""
    end = _UNSTATED
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if piece.thinking:
                    yield _text_event("thinking", piece.thinking)
                if piece.text:
                    yield _text_event("token", piece.text)
                end = piece.end or end
    except cluster_errors.REPORTABLE_ERRORS as error:
        document = cluster_errors.as_problem(error).document("")
        yield server_sent_event("error", orjson.dumps(document))
    else:
        yield server_sent_event("done", _end(model, end).model_dump_json(by_alias=True).encode())


def _text_event(kind: str, text: str) -> bytes:
    return server_sent_event(kind, orjson.dumps({"text": text}))
