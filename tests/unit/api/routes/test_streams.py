"""Streams and long requests through the whole application and its server."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import orjson
import pytest

from aichat_workspace.api.routes import long_requests, workspace_details, workspaces
from aichat_workspace.api.web.responses import streaming
from tests.fakes.listing import take_list
from tests.unit.api.samples import resource
from tests.unit.api.serving import connect_without_reading
from tests.unit.api.world import GOOD, LOG, PATH, PROMPT, FakeModel, World, running_world
from tests.unit.waiting import until

_TIMES = [f"2026-11-24T09:00:00.00000000{digit}Z" for digit in (1, 2, 3)]
_DONE = {"model": "m", "doneReason": "length", "promptTokens": 11, "replyTokens": 2, "seconds": 0.5}


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    model = FakeModel()
    async with running_world(monkeypatch, lambda _: model, model) as world:  # type: ignore[arg-type, return-value]
        yield world


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
            ("", {"tailLines": "200", "limitBytes": str(4 * 1024 * 1024 + 1)}),
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

    @pytest.mark.parametrize("since", ["sinceSeconds=60", f"sinceTime={_TIMES[0]}"])
    async def test_a_log_since_a_moment_has_all_its_lines(self, world: World, since: str) -> None:
        world.cluster.log_ends = "ends"
        async with world.get(f"{LOG}?{since}") as answer:
            assert answer.headers["Log-Limits"] == "limitBytes=4194304"
            await answer.read()
        assert "tailLines" not in world.cluster.log_queries[0]

    async def test_the_limits_of_a_log_are_told(self, world: World) -> None:
        world.cluster.log_ends = "ends"
        for query, limits in (
            ("", "tail=200, limitBytes=4194304"),
            ("follow=true", "tail=200"),
            ("tail=7&limitBytes=99", "tail=7, limitBytes=99"),
            (f"follow=true&sinceTime={_TIMES[0]}", "none"),
        ):
            async with world.get(f"{LOG}?{query}") as answer:
                assert answer.headers["Log-Limits"] == limits
                await answer.read()

    async def test_a_log_goes_on_after_a_moment_without_doubles(self, world: World) -> None:
        world.cluster.log_ends = "ends"
        world.cluster.log = b"".join(
            b"%b line %d\n" % (time.encode(), number) for number, time in enumerate(_TIMES)
        )
        async with world.get(f"{LOG}?sinceTime={_TIMES[1]}") as answer:
            assert await answer.text() == "line 2\n"
        async with world.get(f"{LOG}?sinceTime={_TIMES[1]}&timestamps=true") as answer:
            assert await answer.text() == f"{_TIMES[2]} line 2\n"
        sent = {"sinceTime": "2026-11-24T09:00:00Z", "timestamps": "true"}
        assert sent.items() <= world.cluster.log_queries[0].items()

    @pytest.mark.parametrize(
        "query",
        [
            "sinceTime=yesterday",
            "sinceTime=2026-13-40T09:00:00Z",
            "sinceSeconds=1&sinceTime=" + "2026-11-24T09:00:00Z",
        ],
    )
    async def test_a_wrong_beginning_is_refused(self, world: World, query: str) -> None:
        async with world.get(f"{LOG}?{query}") as answer:
            assert answer.status == 422
            assert "sinceTime" in (await answer.json(content_type=None))["detail"]

    async def test_lines_come_as_events_that_can_be_resumed(self, world: World) -> None:
        world.cluster.log_ends = "ends"
        world.cluster.log = b"".join(
            b"%b line %d\n" % (time.encode(), number) for number, time in enumerate(_TIMES)
        )
        events = {"Accept": "text/event-stream"}
        async with world.get(LOG, **events) as answer:
            text = await answer.text()
        assert text.count("event: line") == 3
        assert text.endswith("event: end\ndata: {}\n\n")
        async with world.get(LOG, **events, **{"Last-Event-ID": _TIMES[1]}) as answer:
            lines = [event async for event in _events(answer)]
        assert lines == [("line", {"time": _TIMES[2], "text": "line 2"}), ("end", {})]
        assert "tailLines" not in world.cluster.log_queries[1]

    async def test_a_silent_log_of_events_has_heartbeats(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        often = functools.partial(streaming.with_heartbeats, seconds=0.05)
        monkeypatch.setattr(workspace_details, "with_heartbeats", often)
        world.cluster.log = b""
        headers = {"Accept": "text/event-stream"}
        async with asyncio.timeout(12), world.get(f"{LOG}?follow=true", **headers) as answer:
            assert await answer.content.readline() == b": heartbeat\n"
        await until(lambda: world.cluster.log_closed)

    async def test_a_log_of_events_that_breaks_off_ends_with_the_problem(
        self, world: World
    ) -> None:
        world.cluster.log_ends = "breaks off"
        async with world.get(LOG, Accept="text/event-stream") as answer:
            kinds = [kind async for kind, _ in _events(answer)]
        assert kinds[-1] == "error"

    async def test_a_log_above_the_limit_breaks_off(self, world: World) -> None:
        world.cluster.log_ends = "ends"
        world.cluster.log = b"x" * (4 * 1024 * 1024 + 1)
        async with world.get(LOG) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        async with world.get(f"{LOG}?limitBytes=10") as answer:
            assert len(await answer.read()) == len(world.cluster.log)

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
        whole = {**_DONE, "reply": "Good morning", "thinking": ""}
        assert await world.ask_whole() == (200, whole)
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
        monkeypatch.setattr(long_requests, "_WHOLE_SECONDS", 0.2)
        world.model.ends = "goes on"
        status, document = await world.ask_whole()
        assert (status, document["code"]) == (504, "takes-too-long")
        assert world.model.closed

    async def test_a_whole_reply_that_is_too_long_is_502(self, world: World) -> None:
        world.model.words = ["x" * 1024] * 2_000
        status, document = await world.ask_whole()
        assert (status, document["code"]) == (502, "reply-too-long")
        assert world.model.words_sent < 1_100

    async def test_a_reply_is_streamed_by_accept_and_whole_by_default(self, world: World) -> None:
        body = {"prompt": "Good morning", "model": "m"}
        for accept, kind in (
            ("*/*", "application/json"),
            ("application/json", "application/json"),
            ("text/event-stream, application/json;q=0.5", "text/event-stream"),
        ):
            headers = {**GOOD, "Accept": accept}
            async with world.http.post(world.url + PROMPT, json=body, headers=headers) as answer:
                assert answer.content_type == kind
                await answer.read()

    async def test_thinking_and_the_end_of_a_reply_are_told(self, world: World) -> None:
        world.model.thinking = "A greeting."
        async with world.ask(stream=True) as answer:
            events = [event async for event in _events(answer)]
        assert events == [
            ("thinking", {"text": "A greeting."}),
            ("token", {"text": "Good "}),
            ("token", {"text": "morning"}),
            ("done", _DONE),
        ]
        _, whole = await world.ask_whole()
        assert whole["thinking"] == "A greeting."

    async def test_the_head_comes_and_heartbeats_go_on_while_the_model_loads(
        self, world: World
    ) -> None:
        world.model.silence_seconds = 60
        async with asyncio.timeout(12), world.ask(stream=True) as answer:
            assert answer.status == 200
            for _ in range(2):
                assert await answer.content.readline() == b": heartbeat\n"
                assert await answer.content.readline() == b"\n"
        await until(lambda: world.model.closed)
        await until(lambda: not world.services.streams.taken)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_permission_that_ends_while_the_model_loads_ends_the_reply(
        self, world: World, stream: bool
    ) -> None:
        world.model.silence_seconds = 60
        world.model.words = []
        reply = asyncio.create_task(world.read(stream=stream))
        await until(lambda: world.services.streams.taken == 1)
        world.revoke()
        async with asyncio.timeout(12):
            assert b"workspace-not-found" in await reply
        assert world.model.closed
        assert not world.services.streams.taken

    async def test_a_fault_before_the_head_has_its_status_and_no_address(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streaming, "_HEAD_SECONDS", 600.0)
        world.model.words, world.model.ends = [], "breaks off"
        for stream in (True, False):
            async with world.ask(stream=stream) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
                text = await answer.text()
            assert "10.1.2.3" not in text
            assert "does not answer" in text

    async def test_a_reply_that_breaks_off_tells_no_address(self, world: World) -> None:
        world.model.ends = "breaks off"
        text = await world.read(stream=True)
        assert b"The reply broke off" in text
        assert b"10.1.2.3" not in text

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
