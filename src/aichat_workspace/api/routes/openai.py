"""A workspace's models in the shape of OpenAI's API, for its clients.

https://platform.openai.com/docs/api-reference
"""

from contextlib import aclosing
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.dependencies import (
    AUTHENTICATED,
    CurrentCaller,
    RequestCredential,
    Services,
    ServicesDep,
)
from aichat_workspace.api.openapi.responses import openai_responses
from aichat_workspace.api.routes.long_requests import (
    OnBytes,
    find_for_prompt,
    find_to_ask,
    respond_in_events,
    respond_whole,
    to_prompt,
    while_authorized,
)
from aichat_workspace.api.routes.workspace_parameters import (
    WORKSPACE_PATH,
    Name,
    WorkspaceParameters,
)
from aichat_workspace.api.schemas.openai import (
    ChatCompletionRequest,
    EmbeddingRequest,
    OpenAIModel,
    OpenAIModelList,
)
from aichat_workspace.api.web.limits.body_limits import JSON
from aichat_workspace.api.web.responses import cluster_errors, openai_errors
from aichat_workspace.api.web.responses.streaming import EVENT_STREAM, Pieces
from aichat_workspace.api.workspaces.views import View

router = APIRouter(
    prefix=f"/api/v1/workspaces/{WORKSPACE_PATH}/v1",
    tags=["openai"],
    dependencies=AUTHENTICATED,
)

_CHAT_PATH: Final = "/v1/chat/completions"
_EMBEDDINGS_PATH: Final = "/v1/embeddings"
_COMPLETION_EXAMPLE: Final = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_795_000_000,
    "model": "gemma2:2b",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Good morning!"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15},
}
_CHUNKS_EXAMPLE: Final = """\
data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":\
"assistant","content":"Good morning!"},"finish_reason":null}]}

: heartbeat

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},\
"finish_reason":"stop"}]}

data: [DONE]
"""
_EMBEDDINGS_EXAMPLE: Final = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.12, -0.07]}],
    "model": "nomic-embed-text",
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}


def _content(description: str, example: dict[str, Any]) -> dict[str, Any]:
    return {JSON: {"schema": {"type": "object", "description": description}, "example": example}}


@router.post(
    "/chat/completions",
    summary="Continue a chat",
    responses={
        200: {
            "description": "The reply, whole or with `stream` in pieces, as OpenAI's clients "
            "expect it. An error within a stream is its last event.",
            "content": {
                **_content("A chat completion, with `usage`.", _COMPLETION_EXAMPLE),
                EVENT_STREAM: {
                    "schema": {"type": "string", "description": "Chat completion chunks."},
                    "example": _CHUNKS_EXAMPLE,
                },
            },
        },
        **openai_responses(409, 415, 502, 504),
    },
)
async def create_chat_completion(
    request: Request,
    caller: CurrentCaller,
    services: ServicesDep,
    credential: RequestCredential,
    name: Name,
    query: WorkspaceParameters,
    body: ChatCompletionRequest,
) -> Response:
    """Needs `create` on `aichatworkspaces/prompt`. A disconnect ends the model's work."""
    view = await find_to_ask(services, caller, name, query.team)
    fields = body.forwarded()
    if not body.stream:
        return await _respond_whole(request, services, caller, credential, view, _CHAT_PATH, fields)
    unchecked = services.model_servers.openai_stream(view, _CHAT_PATH, fields)
    chunks = while_authorized(services, credential, to_prompt(view), name, unchecked)
    return await respond_in_events(request, services, caller, chunks, _events)


@router.post(
    "/embeddings",
    summary="Embed texts",
    responses={
        200: {
            "description": "A vector for each text.",
            "content": _content("A list of embeddings, with `usage`.", _EMBEDDINGS_EXAMPLE),
        },
        **openai_responses(409, 415, 502, 504),
    },
)
async def create_embeddings(
    request: Request,
    caller: CurrentCaller,
    services: ServicesDep,
    credential: RequestCredential,
    name: Name,
    query: WorkspaceParameters,
    body: EmbeddingRequest,
) -> Response:
    """Needs `create` on `aichatworkspaces/prompt`."""
    view = await find_to_ask(services, caller, name, query.team)
    return await _respond_whole(
        request, services, caller, credential, view, _EMBEDDINGS_PATH, body.forwarded()
    )


@router.get(
    "/models",
    summary="The models to chat with",
    responses={
        200: {"model": OpenAIModelList, "description": "As the workspace's server lists them."},
        **openai_responses(409, 502),
    },
)
async def list_openai_models(
    caller: CurrentCaller, services: ServicesDep, name: Name, query: WorkspaceParameters
) -> OpenAIModelList:
    """Needs `create` on `aichatworkspaces/prompt`."""
    view = await find_for_prompt(services, caller, name, query.team)
    models = await services.model_servers.models(view)
    return OpenAIModelList(
        data=tuple(
            OpenAIModel(id=model.name, created=model.modified_seconds, owned_by=view.name)
            for model in models
        )
    )


async def _respond_whole(
    request: Request,
    services: Services,
    caller: Caller,
    credential: RequestCredential,
    view: View,
    path: str,
    fields: dict[str, Any],
) -> Response:
    """Return the model server's response as it is."""

    async def unchecked(on_bytes: OnBytes) -> Pieces:
        yield await services.model_servers.openai(view, path, fields, on_bytes)

    async def whole(on_bytes: OnBytes) -> bytes:
        answer = unchecked(on_bytes)
        pieces = while_authorized(services, credential, to_prompt(view), view.name, answer)
        async with aclosing(pieces):
            return await anext(pieces)

    return await respond_whole(request, services, caller, whole)


async def _events(chunks: Pieces) -> Pieces:
    """Yield the chunks as events, then the end of a complete reply, else an error."""
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield _event(chunk)
    except cluster_errors.REPORTABLE_ERRORS as error:
        yield _event(orjson.dumps(openai_errors.document(cluster_errors.as_problem(error))))
    else:
        yield _event(b"[DONE]")


def _event(data: bytes) -> bytes:
    return b"data: %b\n\n" % data
