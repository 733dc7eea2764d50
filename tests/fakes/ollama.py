"""A model server's API in OpenAI's shape, as Ollama's middleware/openai.go answers."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_USAGE = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}


@dataclass
class FakeOllama:
    """Has the models `m:1` and `embed:latest`. A reply ends, goes on, breaks off, or never begins;
    `bodies` are the requests."""

    ends: str = "ends"
    bodies: list[dict[str, Any]] = field(default_factory=list)
    running: int = 0
    """Requests under way."""

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/tags", self._tags)
        app.router.add_post("/api/show", self._show)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embed)
        return app

    async def _tags(self, _: web.Request) -> web.Response:
        models = [
            {
                "name": name,
                "digest": name,
                "size": 7,
                "modified_at": "2026-11-24T09:00:00.123456789Z",
            }
            for name in ("m:1", "embed:latest")
        ]
        return web.json_response({"models": models})

    async def _show(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["model"] != "m:1":
            return _error(404, f"model '{body['model']}' not found", "not_found_error")
        info = {"general.architecture": "llama", "llama.context_length": 2048}
        return web.json_response({"license": "MIT License\n\nText", "model_info": info})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if body["model"] != "m:1":
            return _error(404, f"model '{body['model']}' not found", "not_found_error")
        if body.get("tools"):
            return _error(400, "m:1 does not support tools", "invalid_request_error")
        self.running += 1
        try:
            if self.ends == "never begins":
                await asyncio.sleep(60)
            return await self._stream(request, body) if body.get("stream") else _completion()
        finally:
            self.running -= 1

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for word in ("Good ", "morning"):
            await answer.write(_chunk({"role": "assistant", "content": word}))
        if self.ends == "breaks off":
            return answer
        if self.ends == "goes on":
            await asyncio.sleep(60)
        await answer.write(_chunk({}, "stop"))
        if (body.get("stream_options") or {}).get("include_usage"):
            await answer.write(_chunk(usage=_USAGE))
        await answer.write(b"data: [DONE]\n\n")
        return answer

    async def _embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        # 1.0 and -1.0 as 32-bit floats
        data = [
            {"object": "embedding", "index": index, "embedding": "AACAPwAAgL8="}
            for index, _ in enumerate(inputs)
        ]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return web.json_response({"object": "list", "data": data, "model": "m", "usage": usage})


def _chunk(
    delta: dict[str, Any] | None = None,
    finish: str | None = None,
    usage: dict[str, int] | None = None,
) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m:1",
        "choices": choices,
        **({"usage": usage} if usage else {}),
    }
    return b"data: %b\n\n" % json.dumps(document).encode()


def _completion() -> web.Response:
    message = {"role": "assistant", "content": "Good morning"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m:1",
            "choices": [choice],
            "usage": _USAGE,
        }
    )


def _error(status: int, message: str, kind: str) -> web.Response:
    error = {"message": message, "type": kind, "param": None, "code": None}
    return web.json_response({"error": error}, status=status)
