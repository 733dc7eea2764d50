"""Ollama's API, as far as it is needed here.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from aichat_workspace.foundation.json_lines import LineTooLongError, read_json_lines
from aichat_workspace.ollama.errors import (
    ModelNotFoundError,
    OllamaError,
    OllamaUnreachableError,
    VolumeFullError,
)
from aichat_workspace.ollama.transport import Answer, Transport

_REQUEST_SECONDS: Final = 20.0
# Making a model from one that is there reads and hashes its weights.
_CREATE_SECONDS: Final = 120.0
_MAX_LINE_BYTES: Final = 1024 * 1024
# Parsing takes up to forty times as much memory.
_MAX_ANSWER_BYTES: Final = 1024 * 1024
_MAX_ERROR_BYTES: Final = 16 * 1024
_WEIGHTS: Final = re.compile(r"^FROM \S*sha256-([0-9a-f]{64})$", re.MULTILINE)
_MANIFEST: Final = "pull model manifest"
_NOT_FOUND: Final = ("file does not exist", "manifest unknown", "not found")
_FULL: Final = ("no space left on device", "disk quota exceeded")


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model that the server has."""

    name: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is, over all of the model's layers seen so far.

    `fresh_bytes` came since the last progress; what an earlier, interrupted download left is not
    counted. `shared_bytes` are layers that were there as a whole: other models have them, too.
    """

    status: str
    completed_bytes: int
    total_bytes: int
    fresh_bytes: int = 0
    shared_bytes: int = 0


class OllamaClient:
    """One model server. Every method raises `OllamaUnreachableError`, `ModelNotFoundError`,
    `VolumeFullError` or `OllamaError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def models(self) -> tuple[InstalledModel, ...]:
        """Every model the server has."""
        async with self._open("GET", "/api/tags", None, _REQUEST_SECONDS) as answer:
            match orjson.loads(await _all(answer)):
                case {"models": None}:
                    return ()
                case {"models": [*listed]}:
                    return tuple(map(_listed, listed))
        raise _odd("/api/tags")

    async def pull(
        self, name: str, *, stall_seconds: float, insecure: bool = False
    ) -> AsyncGenerator[Progress, None]:
        """Download a model, telling how far it is. Interrupted, it resumes at the next call.
        `insecure` is for a registry that speaks plain HTTP.

        Raises OllamaUnreachableError when nothing is said for `stall_seconds`.
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
        """The digest of a model's weights, which models made of one another share; empty where the
        server does not say."""
        modelfile = (await self._show(name)).get("modelfile", "")
        if not isinstance(modelfile, str):
            raise _odd("/api/show")
        weights = _WEIGHTS.search(modelfile)
        return weights[1] if weights else ""

    async def system(self, name: str) -> str:
        """A model's system prompt; empty where it has none."""
        return str((await self._show(name)).get("system", ""))

    async def capabilities(self, name: str) -> frozenset[str]:
        """What a model can do, as in completion, tools and vision.

        A chat that asks for more is refused. The list of models has capabilities, too, but does not
        look at the template in the model's own file, by which some models can call tools.
        """
        match (await self._show(name)).get("capabilities"):
            case None:
                return frozenset()
            case [*capabilities] if all(isinstance(name, str) for name in capabilities):
                return frozenset(capabilities)
        raise _odd("/api/show")

    async def _show(self, name: str) -> dict[str, Any]:
        body = orjson.dumps({"model": name})
        async with self._open("POST", "/api/show", body, _REQUEST_SECONDS) as answer:
            model = orjson.loads(await _all(answer))
        if not isinstance(model, dict):
            raise _odd("/api/show")
        return model

    async def create(self, name: str, *, base: str, system: str) -> None:
        """Make a model of another one and a system prompt, replacing one of that name."""
        body = {"model": name, "from": base, "system": system}
        async for _ in self._events("/api/create", body, _CREATE_SECONDS):
            pass

    async def delete(self, name: str) -> None:
        """Remove a model; one that is gone already is no error."""
        try:
            body = orjson.dumps({"model": name})
            async with self._open("DELETE", "/api/delete", body, _REQUEST_SECONDS) as answer:
                await _all(answer)
        except ModelNotFoundError:
            return

    async def chat(
        self,
        model: str,
        prompt: str,
        *,
        system: str | None = None,
        options: Mapping[str, float] | None = None,
        idle_seconds: float = 120.0,
    ) -> AsyncGenerator[str, None]:
        """Ask a model; its reply piece by piece. Loading the model may take a while, so nothing
        may be said for `idle_seconds`. `options` are Ollama's: seed, temperature and more."""
        messages = [{"role": "user", "content": prompt}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        body = {"model": model, "messages": messages, "options": dict(options or {})}
        async for event in self._events("/api/chat", body, idle_seconds, _is_last_word):
            message = event.get("message", {})
            text = message.get("content", "") if isinstance(message, dict) else None
            if not isinstance(text, str):
                raise _odd("/api/chat")
            if text:
                yield text

    async def _events(
        self,
        path: str,
        body: dict[str, Any],
        idle_seconds: float,
        is_last: Callable[[dict[str, Any]], bool] = lambda event: event.get("status") == "success",
    ) -> AsyncIterator[dict[str, Any]]:
        """The objects of a streamed answer; one torn before its last object is no answer."""
        done = False
        async with self._open("POST", path, orjson.dumps(body), idle_seconds) as answer:
            lines = read_json_lines(answer.chunks, max_line_bytes=_MAX_LINE_BYTES)
            async for event in lines:
                if not isinstance(event, dict):
                    raise _odd(path)
                if "error" in event:
                    raise _error(str(event["error"]))
                done = is_last(event)
                yield event
        if not done:
            raise OllamaUnreachableError(f"{path}: the answer ended early")

    @asynccontextmanager
    async def _open(
        self, method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AsyncIterator[Answer]:
        try:
            async with self._transport(method, path, body, idle_seconds) as answer:
                if answer.status != 200:
                    raise _refused(answer.status, await _all(answer))
                yield answer
        except LineTooLongError as error:
            raise OllamaError("the server sent an endless line") from error
        except TimeoutError as error:
            raise OllamaUnreachableError(f"no word from it for {idle_seconds:.0f} s") from error
        except (aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            raise OllamaUnreachableError(str(error) or type(error).__name__) from error


def _is_last_word(event: dict[str, Any]) -> bool:
    return bool(event.get("done"))


async def _all(answer: Answer) -> bytes:
    read = bytearray()
    async for chunk in answer.chunks:
        read += chunk
        if len(read) > _MAX_ANSWER_BYTES:
            raise OllamaError("the server sent an endless answer")
    return bytes(read)


def _listed(model: Any) -> InstalledModel:
    match model:
        case {"name": str(name), "digest": str(digest), "size": int(size)} if 0 <= size < 2**63:
            return InstalledModel(name, digest, size)
    raise _odd("/api/tags")


def _layer(event: dict[str, Any]) -> tuple[str, int, int]:
    """Digest, bytes that are there and bytes in all."""
    match event["digest"], event.get("completed", 0), event.get("total", 0):
        case str(digest), int(completed), int(total):
            return digest, completed, total
    raise _odd("/api/pull")


def _odd(path: str) -> OllamaError:
    return OllamaError(f"what the server says of {path} is nothing that Ollama says")


def _refused(status: int, body: bytes) -> OllamaError:
    try:
        message = str(orjson.loads(body[:_MAX_ERROR_BYTES])["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = body[:200].decode(errors="replace") or f"status {status}"
    # 502, 503 and 504 come from a proxy in front of a server that is not there.
    if status in (502, 503, 504):
        return OllamaUnreachableError(message)
    return ModelNotFoundError(message) if status == 404 else _error(message)


def _error(message: str) -> OllamaError:
    of_registry = message.startswith(_MANIFEST)
    if of_registry and message.endswith(_NOT_FOUND):
        return ModelNotFoundError(message)
    if not of_registry and message.endswith(_FULL):
        return VolumeFullError(message)
    return OllamaError(message)
