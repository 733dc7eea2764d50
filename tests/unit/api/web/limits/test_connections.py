"""Attacks with raw sockets on the product's own connections."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.settings import Bounds
from aichat_workspace.api.web.limits import connection_limits, connections
from aichat_workspace.api.web.limits.connection_limits import MAX_HEAD_BYTES, ConnectionLimits
from aichat_workspace.api.web.limits.connections import MAX_PIPELINED
from tests.unit.api.serving import serve
from tests.unit.waiting import until

_HEAD = b"GET / HTTP/1.1\r\nHost: api\r\n"
_LINE = b"X-Name: " + b"a" * 1000 + b"\r\n"
_SECONDS = 0.5


@dataclass
class FakeApp:
    """Answers once `answering` is set, and never reads a body."""

    answering: asyncio.Event = field(default_factory=asyncio.Event)
    requests: int = 0
    cycle: Any = None
    """The server's part of the last request, which buffers the body."""

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        self.cycle = receive.__self__  # type: ignore[attr-defined]
        await self.answering.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@dataclass
class World:
    app: FakeApp
    limits: ConnectionLimits
    address: tuple[str, int]

    @asynccontextmanager
    async def connect(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def answer_to(self, data: bytes) -> bytes:
        """Send the data, and return all that comes until the server closes."""
        async with self.connect() as (reader, writer):
            writer.write(data)
            return await read_to_end(reader)


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    answer = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(20):
            while piece := await reader.read(4096):
                answer += piece
    return answer


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", _SECONDS)
    limits = ConnectionLimits.create(Bounds(connections_per_address=4, connections=100), (), ())
    app = FakeApp()
    app.answering.set()
    async with serve(app, limits=limits) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield World(app, limits, (host, int(port)))
    await until(lambda: not limits.strangers.connections.total)
    assert not limits.strangers.heads.total


async def test_a_head_without_end_is_431_and_holds_no_more_than_its_limit(world: World) -> None:
    async with world.connect() as (reader, writer):
        writer.write(_HEAD)
        most = sent = 0
        with suppress(ConnectionError):
            for _ in range(2_000):
                writer.write(_LINE)
                await writer.drain()
                await asyncio.sleep(0)
                sent += len(_LINE)
                most = max(most, world.limits.strangers.heads.total)
                if reader.at_eof():
                    break
        answer = await read_to_end(reader)
    assert answer.startswith(b"HTTP/1.1 431 ") or (not answer and sent > MAX_HEAD_BYTES)
    assert most <= MAX_HEAD_BYTES
    assert not world.app.requests


async def test_a_whole_head_that_is_too_large_is_a_problem_document(world: World) -> None:
    answer = await world.answer_to(_HEAD + _LINE * 33 + b"\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "head-too-large"
    assert not world.app.requests


async def test_a_head_of_the_largest_token_and_cookie_is_answered(world: World) -> None:
    head = _HEAD + b"Authorization: Bearer %s\r\nCookie: %s\r\n" % (b"t" * 16_384, b"c" * 4_096)
    answer = await world.answer_to(head + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204 ")


async def test_a_connection_that_is_not_used_is_closed_in_time(world: World) -> None:
    assert await world.answer_to(b"") == b""


async def test_a_proxy_may_open_a_connection_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", _SECONDS)
    app = FakeApp()
    app.answering.set()
    limits = ConnectionLimits.create(Bounds(), (), (ip_network("127.0.0.0/8"),))
    async with serve(app, limits=limits) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        async with World(app, limits, (host, int(port))).connect() as (reader, writer):
            await asyncio.sleep(2 * _SECONDS)
            writer.write(_HEAD + b"\r\n")
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 204 ")
            writer.write(b"G")
            assert (await read_to_end(reader)).count(b"HTTP/1.1 408 ") == 1


@pytest.mark.parametrize("begin", [b"G", _HEAD, b"\r\n"])
async def test_a_head_that_does_not_end_in_time_is_408(world: World, begin: bytes) -> None:
    answer = await world.answer_to(begin)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too-slow"' in answer
    assert answer.lower().count(b"connection: close") == 1


@pytest.mark.parametrize("drip", [b"X-Name: a\r\n", b"\r\n"])
async def test_a_head_that_drips_gets_no_more_time_on_a_used_connection_either(
    world: World, drip: bytes
) -> None:
    async with world.connect() as (reader, writer):
        writer.write(_HEAD + b"\r\n")
        assert await reader.readuntil(b"\r\n\r\n")
        begin = asyncio.get_running_loop().time()
        if drip != b"\r\n":
            writer.write(_HEAD)
        answer = b""
        async with asyncio.timeout(20):
            while not answer:
                writer.write(drip)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_SECONDS / 10):
                        answer = await reader.read(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert asyncio.get_running_loop().time() - begin >= _SECONDS * 0.9


async def test_an_address_has_a_share_of_connections_which_it_gets_back(world: World) -> None:
    async with world.connect() as first, world.connect(), world.connect(), world.connect():
        await until(lambda: world.limits.strangers.connections.total == 4)
        async with world.connect() as (reader, _):
            assert await read_to_end(reader) == b""
        first[1].write(_HEAD + b"\r\n")
        assert (await first[0].readuntil(b"\r\n")).startswith(b"HTTP/1.1 204 ")
    await until(lambda: not world.limits.strangers.connections.total)
    assert (await world.answer_to(_HEAD + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 204")


async def test_unfinished_heads_of_an_address_are_bounded_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "HEADS_PER_ADDRESS", 1)
    half = _HEAD + _LINE * 17
    async with world.connect() as (_, writer):
        writer.write(half)
        await until(lambda: world.limits.strangers.heads.total == len(half))
        refused = await world.answer_to(half)
        assert refused.startswith(b"HTTP/1.1 503 ")
        whole = await world.answer_to(_HEAD + _LINE * 17 + b"Connection: close\r\n\r\n")
        assert whole.startswith(b"HTTP/1.1 204 "), "a head that is whole at once holds nothing"


async def test_requests_that_do_not_wait_for_answers_are_bounded(world: World) -> None:
    world.app.answering.clear()
    assert await world.answer_to((_HEAD + b"\r\n") * (MAX_PIPELINED + 2)) == b""
    world.app.answering.set()
    answers = await world.answer_to(
        (_HEAD + b"\r\n") * MAX_PIPELINED + _HEAD + b"Connection: close\r\n\r\n"
    )
    assert answers.count(b"HTTP/1.1 204 ") == MAX_PIPELINED + 1


async def test_a_request_hears_that_its_client_has_gone_though_another_one_waits_behind_it() -> (
    None
):
    requests = disconnects = 0

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        nonlocal requests, disconnects
        requests += 1
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnects += 1

    async with serve(app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall((_HEAD + b"\r\n") * 2)
            await until(lambda: requests)
            await asyncio.sleep(0.05)
        await until(lambda: disconnects)


async def test_a_body_that_is_not_wanted_stays_with_its_sender(world: World) -> None:
    world.app.answering.clear()
    with ExitStack() as stack:
        client = stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.connect(world.address)
        client.setblocking(False)
        client.send(b"POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 9000000\r\n\r\n")
        await until(lambda: world.app.requests)
        sent, stalls = 0, 0
        while sent < 1_000_000 and stalls < 20:
            try:
                sent += client.send(b"x" * 65_536)
                stalls = 0
            except BlockingIOError:
                stalls += 1
                await asyncio.sleep(0.01)
        assert sent < 500_000
        assert len(world.app.cycle.body) == 0
        world.app.answering.set()
