"""Streams and long requests through the whole application and its server."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.routes import workspace_details, workspaces
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.web import streaming
from aichat_workspace.api.workspaces import watch
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain import names
from aichat_workspace.kube.client import Client
from aichat_workspace.ollama.errors import OllamaUnreachableError
from tests.fakes.listing import take_list
from tests.unit.api.samples import resource
from tests.unit.api.serving import connect_without_reading, serve
from tests.unit.waiting import until

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
        await answer.write(b"a line\n")
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
    options: dict[str, Any] = field(default_factory=dict)

    async def chat(self, *_: Any, **options: Any) -> AsyncGenerator[str, None]:
        self.options = options
        try:
            for word in self.words:
                self.words_sent += 1
                yield word
            if self.ends == "goes on":
                await asyncio.sleep(60)
            if self.ends == "breaks off":
                raise OllamaUnreachableError("reset")
        finally:
            self.closed = True


@dataclass
class World:
    cluster: FakeCluster
    model: FakeModel
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

    def revoke(self) -> None:
        """Take the caller's permission, and forget cached reviews."""
        self.cluster.groups = []
        self.services.authenticator._answers._answers.clear()


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(ClusterView, "is_synced", True)
    often = functools.partial(streaming.stream_while_authorized, check_seconds=0.05)
    monkeypatch.setattr(workspace_details, "stream_while_authorized", often)
    watcher = functools.partial(watch.Watcher, heartbeat_seconds=0.05, recheck_seconds=0)
    monkeypatch.setattr(watch, "Watcher", watcher)
    cluster, model = FakeCluster(), FakeModel()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", cluster.answer)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(app))
        configuration = Configuration()
        configuration.host = str(server.make_url("")).rstrip("/")
        client = await stack.enter_async_context(Client(configuration, user_agent="test"))
        settings = Settings.read({}, in_cluster=True)
        services = Services.create(settings, client, lambda _: model, {})  # type: ignore[arg-type, return-value]
        status = {"namespace": {"name": "team-a", "uid": "its-namespace"}}
        take_list(services.cluster.workspaces._store, [resource(status=status)], 1)
        take_list(services.cluster._namespaces._store, [_NAMESPACE], 1)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        served = build(services, Metrics(lambda: 0, lambda: 0))
        url = await stack.enter_async_context(serve(served, services.stopping))
        yield World(cluster, model, services, http, url)


def revoke(world: World) -> None:
    world.revoke()


def stop(world: World) -> None:
    world.services.stopping.set()


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    kind = ""
    async for line in answer.content:
        name, _, value = line.decode().strip().partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, orjson.loads(value)


async def test_a_watch_ends_when_its_callers_groups_change(world: World) -> None:
    async with asyncio.timeout(12), world.get(f"{PATH}:watch") as answer:
        events = []
        async for kind, document in _events(answer):
            events.append((kind, document.get("status")))
            if kind == "synced":
                world.revoke()
    assert [kind for kind, _ in events] == ["reset", "ADDED", "synced", "end"]
    assert events[-1] == ("end", 403)


class TestList:
    async def test_a_list_is_complete_and_is_304_for_its_etag(self, world: World) -> None:
        large = {"models": ["x" * 10_000]}
        many = [resource(f"a{number}", spec=large) for number in range(50)]
        take_list(world.services.cluster.workspaces._store, many, 2)
        async with world.get(PATH) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            assert len((await answer.json())["items"]) == 50
            etag = answer.headers["ETag"]
        async with world.get(PATH, **{"If-None-Match": etag}) as again:
            assert (again.status, await again.read()) == (304, b"")

    async def test_a_list_that_is_read_too_slowly_breaks_off_and_frees_its_slot(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workspaces, "_LIST_SECONDS", 0.2)
        large = {"models": ["x" * 200_000]}
        many = [resource(f"a{number}", spec=large) for number in range(100)]
        take_list(world.services.cluster.workspaces._store, many, 2)
        head = f"GET {PATH} HTTP/1.1\r\nAuthorization: Bearer good"
        with connect_without_reading(world.url, head) as connection:
            await until(lambda: world.services.lists.taken == 1)
            connection.setblocking(False)
            async with asyncio.timeout(15):
                while world.services.lists.taken:
                    await asyncio.sleep(0.01)
                    with contextlib.suppress(OSError):
                        connection.recv(4096)

    async def test_unread_lists_of_one_caller_are_limited(self, world: World) -> None:
        lists = world.services.lists
        with contextlib.ExitStack() as unread:
            for _ in range(lists.per_caller):
                unread.enter_context(lists.slot("ann"))
            async with world.get(PATH) as answer:
                assert answer.status == 429
                assert "lists open" in (await answer.json())["detail"]
        async with world.get(PATH) as answer:
            assert answer.status == 200
            await answer.read()
        await until(lambda: not lists.taken)


class TestLog:
    @pytest.mark.parametrize(
        ("query", "parameters"),
        [
            ("", {"tailLines": "200", "limitBytes": str(4 * 1024 * 1024)}),
            ("limitBytes=10&sinceSeconds=60", {"limitBytes": "10", "sinceSeconds": "60"}),
            ("previous=true&timestamps=true", {"previous": "true", "timestamps": "true"}),
            ("follow=true&limitBytes=10&tail=1", {"follow": "true", "limitBytes": "10"}),
        ],
    )
    async def test_the_query_of_a_log_is_passed_to_the_api_server(
        self, world: World, query: str, parameters: dict[str, str]
    ) -> None:
        world.cluster.log_ends = "ends"
        async with world.get(f"{LOG}?{query}") as answer:
            assert (answer.status, await answer.text()) == (200, "a line\n")
        assert parameters.items() <= world.cluster.log_queries[0].items()

    async def test_a_followed_log_has_no_default_byte_limit(self, world: World) -> None:
        world.cluster.log_ends = "ends"
        async with world.get(f"{LOG}?follow=true") as answer:
            await answer.read()
        assert "limitBytes" not in world.cluster.log_queries[0]

    async def test_a_log_that_breaks_off_breaks_the_connection(self, world: World) -> None:
        world.cluster.log_ends = "breaks off"
        async with asyncio.timeout(12), world.get(LOG) as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()

    @pytest.mark.parametrize("event", [revoke, stop])
    async def test_a_followed_log_breaks_off_when_the_permission_ends_or_the_server_stops(
        self, world: World, event: Callable[[World], None]
    ) -> None:
        async with asyncio.timeout(12), world.get(f"{LOG}?follow=true") as answer:
            assert await answer.content.readline() == b"a line\n"
            event(world)
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        await until(lambda: world.cluster.log_closed)
        assert not world.services.streams.taken


class TestPrompt:
    @pytest.mark.parametrize(
        ("settings", "options"),
        [
            ({}, {}),
            ({"temperature": 0, "seed": 1}, {"temperature": 0, "seed": 1}),
            ({"temperature": 1.5}, {"temperature": 1.5}),
            ({"seed": 0}, {"seed": 0}),
        ],
    )
    async def test_a_prompts_temperature_and_seed_reach_the_model(
        self, world: World, settings: dict[str, Any], options: dict[str, Any]
    ) -> None:
        async with world.ask(stream=False, system="Be brief.", **settings) as answer:
            assert answer.status == 200
        assert world.model.options == {"system": "Be brief.", "options": options}

    @pytest.mark.parametrize(
        "settings",
        [
            {"temperature": 2.1},
            {"temperature": -1},
            {"temperature": "0"},
            {"seed": -1},
            {"seed": 1.5},
        ],
    )
    async def test_an_invalid_temperature_or_seed_is_named(
        self, world: World, settings: dict[str, Any]
    ) -> None:
        async with world.ask(stream=False, **settings) as answer:
            assert answer.status == 422
            (error,) = (await answer.json(content_type=None))["errors"]
        assert error["field"] == next(iter(settings))

    async def test_a_reply_comes_whole_or_word_by_word(self, world: World) -> None:
        assert await world.ask_whole() == (200, {"model": "m", "reply": "Good morning"})
        async with world.ask(stream=True) as answer:
            kinds = [kind async for kind, _ in _events(answer)]
        assert kinds == ["token", "token", "done"]
        assert not world.services.streams.taken

    @pytest.mark.parametrize(
        ("ends", "event", "status", "code"),
        [
            ("breaks off", None, 502, "model-error"),
            ("goes on", revoke, 404, "workspace-not-found"),
            ("goes on", stop, 503, "unavailable"),
        ],
    )
    async def test_a_streamed_reply_ends_with_the_problem(
        self,
        world: World,
        ends: str,
        event: Callable[[World], None] | None,
        status: int,
        code: str,
    ) -> None:
        world.model.ends = ends
        events: list[tuple[str, dict[str, Any]]] = []
        async with asyncio.timeout(12), world.ask(stream=True) as answer:
            async for kind, document in _events(answer):
                events.append((kind, document))
                if event is not None and len(events) == 2:
                    event(world)
        assert [kind for kind, _ in events] == ["token", "token", "error"]
        assert (events[-1][1]["status"], events[-1][1]["code"]) == (status, code)
        assert world.model.closed

    @pytest.mark.parametrize(
        ("event", "status", "code"),
        [(revoke, 404, "workspace-not-found"), (stop, 503, "unavailable")],
    )
    async def test_a_whole_reply_ends_when_the_permission_does_or_the_server_stops(
        self, world: World, event: Callable[[World], None], status: int, code: str
    ) -> None:
        world.model.ends = "goes on"
        reply = asyncio.create_task(world.ask_whole())
        await until(lambda: world.model.words_sent == 2)
        event(world)
        async with asyncio.timeout(12):
            reply_status, document = await reply
        assert (reply_status, document["code"]) == (status, code)
        assert world.model.closed
        assert not world.services.streams.taken

    async def test_a_whole_reply_that_takes_too_long_is_504(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workspace_details, "_REPLY_SECONDS", 0.2)
        world.model.ends = "goes on"
        status, document = await world.ask_whole()
        assert (status, document["code"]) == (504, "takes-too-long")
        assert world.model.closed

    async def test_a_whole_reply_that_is_too_long_is_502(self, world: World) -> None:
        world.model.words = ["x" * 1024] * 2_000
        status, document = await world.ask_whole()
        assert (status, document["code"]) == (502, "reply-too-long")
        assert world.model.words_sent < 1_100

    @pytest.mark.parametrize("words", [["Good "], []])
    async def test_a_whole_reply_is_cancelled_when_the_caller_disconnects(
        self, world: World, words: list[str]
    ) -> None:
        """Neither while the model speaks nor before its first word."""
        world.model.words, world.model.ends = words, "goes on"
        host, _, port = world.url.removeprefix("http://").partition(":")
        body = b'{"prompt": "Good morning", "model": "m", "stream": false}'
        head = (
            f"POST {PROMPT} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer good\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(head.encode() + body)
            await until(lambda: world.services.streams.taken == 1)
            await asyncio.sleep(0.1)
            assert not world.model.closed
        await until(lambda: world.model.closed)
        await until(lambda: not world.services.streams.taken)
