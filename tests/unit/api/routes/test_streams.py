"""What goes on and on, or takes long, through the whole application and its server."""

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
from aichat_workspace.api.routes import workspace_details
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.web import streaming
from aichat_workspace.api.workspaces import watch
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain import names
from aichat_workspace.kube.client import Client
from aichat_workspace.ollama.errors import OllamaUnreachableError
from tests.unit.api.samples import resource
from tests.unit.api.serving import serving
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
class Cluster:
    """Knows one caller, by groups that change; members of `a` may do everything. A log says a line,
    and then ends, goes on or breaks off."""

    groups: list[str] = field(default_factory=lambda: ["a"])
    log_ends: str = "goes on"
    log_asked: list[dict[str, str]] = field(default_factory=list)
    log_closed: bool = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/tokenreviews"):
            user = {"username": "ann", "groups": self.groups}
            told = {"authenticated": True, "audiences": ["aichat-workspace-api"], "user": user}
            return web.json_response({"status": told})
        if request.path.endswith("/subjectaccessreviews"):
            groups = (await request.json())["spec"]["groups"]
            return web.json_response({"status": {"allowed": "a" in groups}})
        if request.path.endswith("/log"):
            return await self._log(request)
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [_POD]})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        self.log_asked.append(dict(request.query))
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
class Model:
    """Says its words, and then ends, goes on or breaks off."""

    words: list[str] = field(default_factory=lambda: ["Good ", "morning"])
    ends: str = "ends"
    said: int = 0
    closed: bool = False
    asked: dict[str, Any] = field(default_factory=dict)

    async def chat(self, *_: Any, **asked: Any) -> AsyncGenerator[str, None]:
        self.asked = asked
        try:
            for each in self.words:
                self.said += 1
                yield each
            if self.ends == "goes on":
                await asyncio.sleep(60)
            if self.ends == "breaks off":
                raise OllamaUnreachableError("reset")
        finally:
            self.closed = True


@dataclass
class World:
    cluster: Cluster
    model: Model
    services: Services
    http: aiohttp.ClientSession
    url: str

    def get(self, path: str, **more: Any) -> Any:
        return self.http.get(self.url + path, headers={**GOOD, **more})

    def ask(self, *, stream: bool, **more: Any) -> Any:
        body = {"prompt": "Good morning", "model": "m", "stream": stream, **more}
        return self.http.post(self.url + PROMPT, json=body, headers=GOOD)

    async def asked_whole(self) -> tuple[int, dict[str, Any]]:
        async with self.ask(stream=False) as answer:
            return answer.status, await answer.json(content_type=None)

    def revoke(self) -> None:
        """And nobody believes any longer what was so."""
        self.cluster.groups = []
        self.services.authenticator._answers._answers.clear()


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(ClusterView, "is_synced", True)
    often = functools.partial(streaming.stream_while_authorized, check_seconds=0.05)
    monkeypatch.setattr(workspace_details, "stream_while_authorized", often)
    watcher = functools.partial(watch.Watcher, heartbeat_seconds=0.05, recheck_seconds=0)
    monkeypatch.setattr(watch, "Watcher", watcher)
    cluster, model = Cluster(), Model()
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
        services.cluster.workspaces._store.reset([resource(status=status)], 1)
        services.cluster._namespaces._store.reset([_NAMESPACE], 1)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        served = build(services, Metrics(lambda: 0, lambda: 0))
        url = await stack.enter_async_context(serving(served, services.stopping))
        yield World(cluster, model, services, http, url)


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
        told = []
        async for kind, document in _events(answer):
            told.append((kind, document.get("status")))
            if kind == "synced":
                world.revoke()
    assert [kind for kind, _ in told] == ["reset", "ADDED", "synced", "end"]
    assert told[-1] == ("end", 403)


async def test_a_list_is_whole_and_its_etag_is_good_for_a_304(world: World) -> None:
    large = {"models": ["x" * 10_000]}
    many = [resource(f"a{at}", spec=large) for at in range(50)]
    world.services.cluster.workspaces._store.reset(many, 2)
    async with world.get(PATH) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert len((await answer.json())["items"]) == 50
        etag = answer.headers["ETag"]
    async with world.get(PATH, **{"If-None-Match": etag}) as again:
        assert (again.status, await again.read()) == (304, b"")


async def test_who_does_not_read_his_lists_gets_so_many_and_no_more(world: World) -> None:
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


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("", {"tailLines": "200", "limitBytes": str(4 * 1024 * 1024)}),
        ("limitBytes=10&sinceSeconds=60", {"limitBytes": "10", "sinceSeconds": "60"}),
        ("previous=true&timestamps=true", {"previous": "true", "timestamps": "true"}),
        ("follow=true&limitBytes=10&tail=1", {"follow": "true", "limitBytes": "10"}),
    ],
)
async def test_the_bounds_of_a_log_reach_the_api_server(
    world: World, asked: str, sent: dict[str, str]
) -> None:
    world.cluster.log_ends = "ends"
    async with world.get(f"{LOG}?{asked}") as answer:
        assert (answer.status, await answer.text()) == (200, "a line\n")
    assert sent.items() <= world.cluster.log_asked[0].items()


async def test_a_log_is_followed_without_an_end_unless_one_is_asked_for(world: World) -> None:
    world.cluster.log_ends = "ends"
    async with world.get(f"{LOG}?follow=true") as answer:
        await answer.read()
    assert "limitBytes" not in world.cluster.log_asked[0]


async def test_a_log_that_breaks_off_does_not_look_whole(world: World) -> None:
    world.cluster.log_ends = "breaks off"
    async with asyncio.timeout(12), world.get(LOG) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


def _revoked(world: World) -> None:
    world.revoke()


def _stopped(world: World) -> None:
    world.services.stopping.set()


@pytest.mark.parametrize("happens", [_revoked, _stopped])
async def test_a_followed_log_breaks_off_when_the_permission_ends_or_the_server_stops(
    world: World, happens: Callable[[World], None]
) -> None:
    async with asyncio.timeout(12), world.get(f"{LOG}?follow=true") as answer:
        assert await answer.content.readline() == b"a line\n"
        happens(world)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    await until(lambda: world.cluster.log_closed)
    assert not world.services.streams.taken


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({}, {}),
        ({"temperature": 0, "seed": 1}, {"temperature": 0, "seed": 1}),
        ({"temperature": 1.5}, {"temperature": 1.5}),
        ({"seed": 0}, {"seed": 0}),
    ],
)
async def test_a_prompts_temperature_and_seed_reach_the_model(
    world: World, asked: dict[str, Any], options: dict[str, Any]
) -> None:
    async with world.ask(stream=False, system="Be brief.", **asked) as answer:
        assert answer.status == 200
    assert world.model.asked == {"system": "Be brief.", "options": options}


@pytest.mark.parametrize(
    "asked",
    [{"temperature": 2.1}, {"temperature": -1}, {"temperature": "0"}, {"seed": -1}, {"seed": 1.5}],
)
async def test_a_temperature_or_a_seed_that_is_none_is_named(
    world: World, asked: dict[str, Any]
) -> None:
    async with world.ask(stream=False, **asked) as answer:
        assert answer.status == 422
        (error,) = (await answer.json(content_type=None))["errors"]
    assert error["field"] == next(iter(asked))


async def test_a_prompt_is_answered_whole_or_word_by_word(world: World) -> None:
    assert await world.asked_whole() == (200, {"model": "m", "reply": "Good morning"})
    async with world.ask(stream=True) as answer:
        kinds = [kind async for kind, _ in _events(answer)]
    assert kinds == ["token", "token", "done"]
    assert not world.services.streams.taken


@pytest.mark.parametrize(
    ("ends", "happens", "status", "code"),
    [
        ("breaks off", None, 502, "model-error"),
        ("goes on", _revoked, 404, "workspace-not-found"),
        ("goes on", _stopped, 503, "unavailable"),
    ],
)
async def test_a_streamed_prompt_ends_with_what_was_wrong(
    world: World,
    ends: str,
    happens: Callable[[World], None] | None,
    status: int,
    code: str,
) -> None:
    world.model.ends = ends
    told: list[tuple[str, dict[str, Any]]] = []
    async with asyncio.timeout(12), world.ask(stream=True) as answer:
        async for kind, document in _events(answer):
            told.append((kind, document))
            if happens is not None and len(told) == 2:
                happens(world)
    assert [kind for kind, _ in told] == ["token", "token", "error"]
    assert (told[-1][1]["status"], told[-1][1]["code"]) == (status, code)
    assert world.model.closed


@pytest.mark.parametrize(
    ("happens", "status", "code"),
    [(_revoked, 404, "workspace-not-found"), (_stopped, 503, "unavailable")],
)
async def test_a_whole_prompt_ends_when_the_permission_does_or_the_server_stops(
    world: World, happens: Callable[[World], None], status: int, code: str
) -> None:
    world.model.ends = "goes on"
    asked = asyncio.create_task(world.asked_whole())
    await until(lambda: world.model.said == 2)
    happens(world)
    async with asyncio.timeout(12):
        told, document = await asked
    assert (told, document["code"]) == (status, code)
    assert world.model.closed
    assert not world.services.streams.taken


async def test_a_whole_prompt_that_takes_too_long_is_504(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_details, "_REPLY_SECONDS", 0.2)
    world.model.ends = "goes on"
    status, document = await world.asked_whole()
    assert (status, document["code"]) == (504, "takes-too-long")
    assert world.model.closed


async def test_a_whole_prompt_whose_reply_is_too_long_is_502(world: World) -> None:
    world.model.words = ["x" * 1024] * 2_000
    status, document = await world.asked_whole()
    assert (status, document["code"]) == (502, "reply-too-long")
    assert world.model.said < 1_100


@pytest.mark.parametrize("words", [["Good "], []])
async def test_a_whole_prompt_does_not_outlive_its_caller(world: World, words: list[str]) -> None:
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
