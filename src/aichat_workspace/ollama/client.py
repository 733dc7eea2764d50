"""A client of Ollama's API.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from aichat_workspace.foundation.bounded_bytes import read_bounded
from aichat_workspace.foundation.error_text import error_text
from aichat_workspace.foundation.json_lines import (
    LineTooLongError,
    read_json_lines,
    read_lines,
)
from aichat_workspace.ollama.errors import (
    ModelNotFoundError,
    OllamaError,
    OllamaUnreachableError,
)
from aichat_workspace.ollama.installed import (
    InstalledModel,
    ModelFacts,
    parse_facts,
    parse_installed_model,
)
from aichat_workspace.ollama.refusals import error_kind, refusal
from aichat_workspace.ollama.replies import ReplyPiece, parse_piece
from aichat_workspace.ollama.transport import Response, Transport

_REQUEST_SECONDS: Final = 20.0
# Loading a large model from a slow volume takes minutes.
REPLY_IDLE_SECONDS: Final = 300.0
# Making a model of an installed one reads and hashes its weights.
_CREATE_SECONDS: Final = 120.0
_MAX_LINE_BYTES: Final = 1024 * 1024
# Parsing takes up to forty times as much memory.
_MAX_RESPONSE_BYTES: Final = 1024 * 1024
# Passed on unparsed: embeddings are long.
_MAX_OPENAI_BYTES: Final = 8 * 1024 * 1024
_OPENAI_DATA: Final = b"data:"
_OPENAI_END: Final = b"[DONE]"
_NO_PIECE: Final = ReplyPiece()
_WEIGHTS: Final = re.compile(r"^FROM \S*sha256-([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a download, over all of the model's layers reported so far."""

    status: str
    completed_bytes: int
    total_bytes: int
    fresh_bytes: int = 0
    """Downloaded since the last progress, without the rest of an earlier, interrupted download."""
    shared_bytes: int = 0
    """Layers that were complete from the start: other models have them, too."""


class OllamaClient:
    """A client of one model server. Every method raises `OllamaError` or one of its kinds."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def models(self) -> tuple[InstalledModel, ...]:
        """List the installed models."""
        async with self._open("GET", "/api/tags", None, _REQUEST_SECONDS) as response:
            match orjson.loads(await _read_all(response)):
                case {"models": None}:
                    return ()
                case {"models": [*models]}:
                    return tuple(_installed_model(model) for model in models)
        raise _unexpected("/api/tags")

    async def version(self) -> str:
        """Return the server's version, as 0.34.0."""
        async with self._open("GET", "/api/version", None, _REQUEST_SECONDS) as response:
            match orjson.loads(await _read_all(response)):
                case {"version": str(version)}:
                    return version
        raise _unexpected("/api/version")

    async def pull(
        self, name: str, *, stall_seconds: float, insecure: bool = False
    ) -> AsyncGenerator[Progress, None]:
        """Download a model and yield its progress. Interrupted, it resumes at the next call.
        `insecure` is for a registry that speaks plain HTTP.

        Raises OllamaUnreachableError after a silence of `stall_seconds`.
        """
        body = {"model": name, **({"insecure": True} if insecure else {})}
        layers: dict[str, tuple[int, int]] = {}
        shared = 0
        async for event in self._events("/api/pull", body, stall_seconds):
            fresh = 0
            if "digest" in event:
                digest, completed, total = _layer(event)
                known = layers.get(digest)
                fresh = max(completed - known[0], 0) if known else 0
                shared += total if known is None and completed == total else 0
                layers[digest] = (completed, total)
            yield Progress(
                str(event.get("status", "")),
                sum(completed for completed, _ in layers.values()),
                sum(total for _, total in layers.values()),
                fresh,
                shared,
            )

    async def weights(self, name: str) -> str:
        """Return the digest of a model's weights, which models made of one another share; empty
        where the server does not state it."""
        modelfile = (await self._show(name)).get("modelfile", "")
        if not isinstance(modelfile, str):
            raise _unexpected("/api/show")
        weights = _WEIGHTS.search(modelfile)
        return weights[1] if weights else ""

    async def system(self, name: str) -> str:
        """Return a model's system prompt; empty where it has none."""
        return str((await self._show(name)).get("system", ""))

    async def capabilities(self, name: str) -> frozenset[str]:
        """Return a model's capabilities: completion, tools, vision and more.

        A chat that asks for others is refused. The list of models has capabilities, too, but
        ignores the template in the model's own file, which lets some models call tools.
        """
        match (await self._show(name)).get("capabilities"):
            case None:
                return frozenset()
            case [*capabilities] if all(isinstance(name, str) for name in capabilities):
                return frozenset(capabilities)
        raise _unexpected("/api/show")

    async def facts(self, name: str) -> ModelFacts:
        """Return a model's context length and licence, as far as the server states them."""
        return parse_facts(await self._show(name))

    async def _show(self, name: str) -> dict[str, Any]:
        body = orjson.dumps({"model": name})
        async with self._open("POST", "/api/show", body, _REQUEST_SECONDS) as response:
            model = orjson.loads(await _read_all(response))
        if not isinstance(model, dict):
            raise _unexpected("/api/show")
        return model

    async def create(self, name: str, *, base: str, system: str) -> None:
        """Make a model of another one and a system prompt, replacing one of that name."""
        body = {"model": name, "from": base, "system": system}
        async for _ in self._events("/api/create", body, _CREATE_SECONDS):
            pass

    async def delete(self, name: str) -> None:
        """Remove a model. An absent one is no error."""
        try:
            body = orjson.dumps({"model": name})
            async with self._open("DELETE", "/api/delete", body, _REQUEST_SECONDS) as response:
                await _read_all(response)
        except ModelNotFoundError:
            return

    async def chat(
        self,
        model: str,
        prompt: str,
        *,
        system: str | None = None,
        options: Mapping[str, float] | None = None,
        idle_seconds: float = REPLY_IDLE_SECONDS,
    ) -> AsyncGenerator[ReplyPiece, None]:
        """Send a prompt and yield the reply in pieces; the last one has its end. Loading the model
        may take a silence of `idle_seconds`. `options` are Ollama's: seed, temperature and more."""
        messages = [{"role": "user", "content": prompt}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        body = {"model": model, "messages": messages, "options": dict(options or {})}
        async for event in self._events("/api/chat", body, idle_seconds, _is_last_piece):
            piece = parse_piece(event)
            if piece is None:
                raise _unexpected("/api/chat")
            if piece != _NO_PIECE:
                yield piece

    async def openai(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        on_bytes: Callable[[int], object] = int,
        idle_seconds: float = REPLY_IDLE_SECONDS,
    ) -> bytes:
        """Send a request in OpenAI's shape, and return the response as it is.

        `on_bytes` is called with the size of each piece that arrives; what it raises ends it.

        https://github.com/ollama/ollama/blob/main/docs/openai.md
        """
        async with self._open("POST", path, orjson.dumps(body), idle_seconds) as response:
            return await _read_all(response, _MAX_OPENAI_BYTES, on_bytes)

    async def openai_stream(
        self, path: str, body: Mapping[str, Any], *, idle_seconds: float = REPLY_IDLE_SECONDS
    ) -> AsyncGenerator[bytes, None]:
        """Send a request in OpenAI's shape, and yield the data of each event of the response.

        Raises OllamaUnreachableError when it is torn before its end: Ollama tells no error within
        such a stream, and leaves out the end.
        """
        async with self._open("POST", path, orjson.dumps(body), idle_seconds) as response:
            async for line in read_lines(response.chunks, max_line_bytes=_MAX_LINE_BYTES):
                data = line.removeprefix(_OPENAI_DATA).strip()
                if data == _OPENAI_END:
                    return
                if line.startswith(_OPENAI_DATA):
                    yield data
        raise OllamaUnreachableError(f"{path}: the answer ended early")

    async def _events(
        self,
        path: str,
        body: dict[str, Any],
        idle_seconds: float,
        is_last: Callable[[dict[str, Any]], bool] = lambda event: event.get("status") == "success",
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects of a streamed response. Raises OllamaUnreachableError when it is torn
        before its last one."""
        is_done = False
        async with self._open("POST", path, orjson.dumps(body), idle_seconds) as response:
            lines = read_json_lines(response.chunks, max_line_bytes=_MAX_LINE_BYTES)
            async for event in lines:
                if not isinstance(event, dict):
                    raise _unexpected(path)
                if "error" in event:
                    raise error_kind(str(event["error"]))
                is_done = is_last(event)
                yield event
        if not is_done:
            raise OllamaUnreachableError(f"{path}: the answer ended early")

    @asynccontextmanager
    async def _open(
        self, method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AsyncIterator[Response]:
        try:
            async with self._transport(method, path, body, idle_seconds) as response:
                if response.status != 200:
                    raise refusal(response.status, await _read_all(response))
                yield response
        except LineTooLongError as error:
            raise OllamaError("the server sent an endless line") from error
        except TimeoutError as error:
            raise OllamaUnreachableError(f"no word from it for {idle_seconds:.0f} s") from error
        except (aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            raise OllamaUnreachableError(error_text(error)) from error


def _is_last_piece(event: dict[str, Any]) -> bool:
    return bool(event.get("done"))


async def _read_all(
    response: Response,
    max_bytes: int = _MAX_RESPONSE_BYTES,
    on_bytes: Callable[[int], object] = int,
) -> bytes:
    body = await read_bounded(response.chunks, max_bytes, on_bytes)
    if len(body) > max_bytes:
        raise OllamaError("the server sent an endless answer")
    return body


def _installed_model(model: Any) -> InstalledModel:
    if (installed := parse_installed_model(model)) is None:
        raise _unexpected("/api/tags")
    return installed


def _layer(event: dict[str, Any]) -> tuple[str, int, int]:
    """Return a layer's digest, its completed bytes and its total bytes."""
    match event["digest"], event.get("completed", 0), event.get("total", 0):
        case str(digest), int(completed), int(total):
            return digest, completed, total
    raise _unexpected("/api/pull")


def _unexpected(path: str) -> OllamaError:
    return OllamaError(f"what the server says of {path} is nothing that Ollama says")
