"""The way to model servers and chats, with real connections."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.replies import ReplyPiece
from aichat_workspace.ollama.transport import direct
from aichat_workspace.openwebui.client import MAX_REPLY_BYTES, Reply, Transport
from aichat_workspace.runtime import servers

OPEN_CHATS = 150  # more than a connector opens by itself


class SlowServer:
    """Sends one word of each reply, and the rest after `let`; sets a cookie on every client."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.cookies: list[str] = []
        self.peers: set[object] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.cookies += request.cookies
        self.peers.add(request.transport.get_extra_info("peername"))
        answer = web.StreamResponse(headers={"Set-Cookie": "whose=ours"})
        await answer.prepare(request)
        await answer.write(b'{"message":{"content":"Hello"}}\n')
        await self.let.wait()
        await answer.write(b'{"done":true}\n')
        return answer


@pytest.fixture
async def slow() -> AsyncIterator[tuple[SlowServer, str]]:
    """The server and its address; its host has a name, as cookies are kept for names only."""
    script = SlowServer()
    app = web.Application()
    app.router.add_post("/api/chat", script.answer)
    async with TestServer(app) as server:
        yield script, f"http://localhost:{server.port}"
        script.let.set()


async def test_any_number_of_chats_may_be_open(
    slow: tuple[SlowServer, str],
) -> None:
    _, url = slow
    async with servers.session() as session, AsyncExitStack() as stack, asyncio.timeout(20):
        for _ in range(OPEN_CHATS):
            chat = OllamaClient(direct(session, url)).chat("m:1", "Hello?")
            await stack.enter_async_context(aclosing(chat))
            assert await anext(chat) == ReplyPiece("Hello")


async def test_requests_share_neither_cookies_nor_connections(slow: tuple[SlowServer, str]) -> None:
    script, url = slow
    script.let.set()
    async with servers.session() as session:
        for _ in range(2):
            chat = OllamaClient(direct(session, url)).chat("m:1", "Hello?")
            assert [piece.text async for piece in chat] == ["Hello", ""]
    assert script.cookies == []
    assert len(script.peers) == 2


class ScriptedChat:
    """An Open WebUI with one response to every request."""

    def __init__(self, response: web.Response) -> None:
        self.response = response
        self.requests: list[tuple[str, str, bytes, str]] = []
        self.encodings: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        body, cookie = await request.read(), request.headers.get("Cookie", "")
        self.requests.append((request.method, request.path, body, cookie))
        self.encodings.append(request.headers["Accept-Encoding"])
        return self.response


@asynccontextmanager
async def chat(response: web.Response) -> AsyncIterator[tuple[ScriptedChat, Transport]]:
    script = ScriptedChat(response)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.answer)
    async with TestServer(app) as server, servers.session() as session:
        yield script, servers.chat_at(session, f"http://localhost:{server.port}")


async def test_a_request_to_a_chat_carries_its_body_and_headers() -> None:
    async with chat(web.Response(status=201, body=b"[]")) as (script, send):
        assert await send("POST", "/api/x", b"{}", {"Cookie": "token=t"}) == Reply(201, b"[]")
    assert script.requests == [("POST", "/api/x", b"{}", "token=t")]


async def test_a_redirect_is_not_followed() -> None:
    moved = web.Response(status=307, headers={"Location": "/elsewhere"})
    async with chat(moved) as (script, send):
        assert (await send("GET", "/api/x", None, {})).status == 307
    assert [path for _, path, _, _ in script.requests] == ["/api/x"]


async def test_an_endless_reply_is_read_to_a_little_over_the_limit() -> None:
    async with chat(web.Response(body=b"x" * (MAX_REPLY_BYTES * 3))) as (_, send):
        read = len((await send("GET", "/", None, {})).body)
    assert MAX_REPLY_BYTES < read < MAX_REPLY_BYTES * 2


async def test_a_compressed_reply_is_not_requested_and_not_unpacked() -> None:
    packed = gzip.compress(b" " * 2**24)
    response = web.Response(body=packed, headers={"Content-Encoding": "gzip"})
    async with chat(response) as (script, send):
        assert (await send("GET", "/", None, {})).body == packed
    assert script.encodings == ["identity"]
