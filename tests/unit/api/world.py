"""The whole application with its server, a fake cluster and a fake model server."""

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.routes import long_requests
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.web.responses import streaming
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.watching import watch
from aichat_workspace.domain import names
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.connection import Connection
from aichat_workspace.ollama.errors import OllamaUnreachableError
from aichat_workspace.ollama.replies import ReplyEnd, ReplyPiece
from aichat_workspace.runtime.servers import Connect, chat_by_proxy
from tests.fakes.listing import take_list
from tests.unit.api.samples import resource
from tests.unit.api.serving import serve

PATH: Final = "/api/v1/workspaces"
LOG: Final = f"{PATH}/team-a/logs/ollama"
PROMPT: Final = f"{PATH}/team-a:prompt"
GOOD: Final = {"Authorization": "Bearer good"}
_NAMESPACE: Final = {
    "metadata": {
        "name": "team-a",
        "uid": "its-namespace",
        "resourceVersion": "1",
        "annotations": {names.OWNER_UID_ANNOTATION: "uid-of-team-a"},
    }
}
_POD: Final = {"metadata": {"name": "ollama-0", "creationTimestamp": "2026-01-01T00:00:00Z"}}


@dataclass
class FakeCluster:
    """Knows one caller, whose groups may change; members of group `a` may do everything.

    A log has one line, and then ends, goes on or breaks off.
    """

    groups: list[str] = field(default_factory=lambda: ["a"])
    log_ends: str = "goes on"
    log: bytes = b"a line\n"
    log_queries: list[dict[str, str]] = field(default_factory=list)
    log_closed: bool = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/tokenreviews"):
            user = {"username": "ann", "groups": self.groups}
            status = {"authenticated": True, "audiences": ["aichat-workspace-api"], "user": user}
            return web.json_response({"status": status})
        if request.path.endswith("/subjectaccessreviews"):
            groups = (await request.json())["spec"]["groups"]
            return web.json_response({"status": {"allowed": "a" in groups}})
        if request.path.endswith("/log"):
            return await self._log(request)
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [_POD]})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        self.log_queries.append(dict(request.query))
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(self.log)
        try:
            if self.log_ends == "goes on":
                await asyncio.sleep(60)
            if self.log_ends == "breaks off":
                assert request.transport is not None
                request.transport.close()
        finally:
            self.log_closed = True
        return answer


@dataclass
class FakeModel:
    """Sends its words, and then ends, goes on or breaks off."""

    words: list[str] = field(default_factory=lambda: ["Good ", "morning"])
    ends: str = "ends"
    words_sent: int = 0
    closed: bool = False
    silence_seconds: float = 0.0
    """How long it loads before its first word."""
    thinking: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    async def chat(self, *_: Any, **options: Any) -> AsyncGenerator[ReplyPiece, None]:
        self.options = options
        try:
            await asyncio.sleep(self.silence_seconds)
            if self.thinking:
                yield ReplyPiece(thinking=self.thinking)
            for word in self.words:
                self.words_sent += 1
                yield ReplyPiece(word)
            if self.ends == "goes on":
                await asyncio.sleep(60)
            if self.ends == "breaks off":
                raise OllamaUnreachableError("reset by 10.1.2.3:11434")
            yield ReplyPiece(end=ReplyEnd("length", 11, 2, 0.5))
        finally:
            self.closed = True


@dataclass
class World:
    cluster: FakeCluster
    model: Any
    services: Services
    http: aiohttp.ClientSession
    url: str

    def get(self, path: str, **headers: Any) -> Any:
        return self.http.get(self.url + path, headers={**GOOD, **headers})

    def ask(self, *, stream: bool, **settings: Any) -> Any:
        body = {"prompt": "Good morning", "model": "m", "stream": stream, **settings}
        return self.http.post(self.url + PROMPT, json=body, headers=GOOD)

    async def ask_whole(self) -> tuple[int, dict[str, Any]]:
        async with self.ask(stream=False) as answer:
            return answer.status, await answer.json(content_type=None)

    async def read(self, *, stream: bool) -> bytes:
        async with self.ask(stream=stream) as answer:
            body: bytes = await answer.read()
            return body

    def revoke(self) -> None:
        """Take the caller's permission, and forget cached reviews."""
        self.cluster.groups = []
        self.services.authenticator._answers._answers.clear()


@asynccontextmanager
async def running_world(
    monkeypatch: pytest.MonkeyPatch, connect: Connect, model: Any, **parts: Any
) -> AsyncIterator[World]:
    """Serve the workspace `team-a`; `parts` are further fields of it. Permissions are checked, and
    heartbeats sent, every 50 ms."""
    monkeypatch.setattr(ClusterView, "is_synced", True)
    often = functools.partial(streaming.stream_while_authorized, check_seconds=0.05)
    monkeypatch.setattr(long_requests, "stream_while_authorized", often)
    heartbeats = functools.partial(streaming.with_heartbeats, seconds=0.05)
    monkeypatch.setattr(long_requests, "with_heartbeats", heartbeats)
    head = functools.partial(streaming.wait_for_head, seconds=0.2)
    monkeypatch.setattr(long_requests, "wait_for_head", head)
    watcher = functools.partial(watch.Watcher, heartbeat_seconds=0.05, recheck_seconds=0)
    monkeypatch.setattr(watch, "Watcher", watcher)
    cluster = FakeCluster()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", cluster.answer)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(app))
        connection = Connection(str(server.make_url("")).rstrip("/"))
        client = await stack.enter_async_context(Client(connection, user_agent="test"))
        settings = Settings.read({}, in_cluster=True)
        connect_chat = chat_by_proxy(client)
        services = Services.create(settings, client, connect, connect_chat, {})
        status = {
            "namespace": {"name": "team-a", "uid": "its-namespace"},
            **parts.pop("status", {}),
        }
        take_list(services.cluster.workspaces._store, [resource(status=status, **parts)], 1)
        take_list(services.cluster._namespaces._store, [_NAMESPACE], 1)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        served = build(services, Metrics(lambda: 0, lambda: 0))
        url = await stack.enter_async_context(serve(served, services.stopping))
        yield World(cluster, model, services, http, url)
