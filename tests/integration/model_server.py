"""A model server as far as downloads, capabilities and OpenAI's clients need one. It keeps note of
what it is asked for."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aichat_workspace.domain.render.components import OLLAMA
from tests.integration.conftest import Cluster
from tests.integration.pods import served

_SECONDS_OF_A_PULL = 1.5
REPLY = "Good morning"


@dataclass
class ModelRequests:
    """`insecure` says of each model how it was asked for, `most` how many pulls ran at once.
    `capable` are the models that can call tools."""

    present: set[str] = field(default_factory=set)
    capable: set[str] = field(default_factory=set)
    insecure: dict[str, bool] = field(default_factory=dict)
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pull(self, model: str, *, insecure: bool) -> None:
        with self.lock:
            self.insecure[model] = insecure
            self.running += 1
            self.most = max(self.most, self.running)
        threading.Event().wait(_SECONDS_OF_A_PULL)
        with self.lock:
            self.running -= 1
            self.present.add(model)


@contextmanager
def model_server(cluster: Cluster, workspace: str) -> Iterator[ModelRequests]:
    requests = ModelRequests()
    with served(cluster, workspace, OLLAMA, partial(_respond, requests)):
        yield requests


def _respond(
    requests: ModelRequests, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    del headers
    content = json.loads(body) if body else {}
    if path == "/v1/chat/completions" and content.get("stream"):
        return 200, _chunks(content["model"])
    return 200, json.dumps(_answer(requests, f"{method} {path}", content)).encode() + b"\n"


def _answer(requests: ModelRequests, request: str, content: dict[str, Any]) -> dict[str, Any]:
    match request:
        case "GET /api/tags":
            present = sorted(requests.present)
            return {"models": [{"name": model, "digest": model, "size": 1} for model in present]}
        case "POST /api/pull":
            requests.pull(content["model"], insecure=content.get("insecure", False))
            return {"status": "success"}
        case "POST /api/show":
            tools = ["tools"] if content["model"] in requests.capable else []
            return {"capabilities": ["completion", *tools]}
        case "POST /v1/chat/completions" | "POST /v1/embeddings":
            is_chat = request.endswith("completions")
            return _completion(content["model"]) if is_chat else _embeddings(content["model"])
        case "POST /api/chat":
            return {"message": {"content": REPLY}, "done": True}
        case "DELETE /api/delete":
            requests.present.discard(content["model"])
            return {}
    raise AssertionError(f"no test expects the request {request}")


def _completion(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": REPLY}
    return {
        **_head(model, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    }


def _embeddings(model: str) -> dict[str, Any]:
    vectors = [{"object": "embedding", "index": 0, "embedding": "AACAPw=="}]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": vectors, "model": model, "usage": usage}


def _chunks(model: str) -> bytes:
    deltas: tuple[tuple[dict[str, Any], str | None], ...] = (
        ({"role": "assistant", "content": REPLY}, None),
        ({}, "stop"),
    )
    chunks = [
        {
            **_head(model, "chat.completion.chunk"),
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        for delta, reason in deltas
    ]
    events = [*map(json.dumps, chunks), "[DONE]"]
    return "".join(f"data: {event}\n\n" for event in events).encode()


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": model}
