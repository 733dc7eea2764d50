"""The way to model servers, with real connections to one that is slow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.transport import direct
from aichat_workspace.runtime import servers

HELD = 150  # more than a connector opens by itself


class SlowServer:
    """Says one word of each reply, and the rest when it is let; gives everybody a cookie."""

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


async def test_whatever_many_chats_are_held_the_next_one_gets_words(
    slow: tuple[SlowServer, str],
) -> None:
    _, url = slow
    async with servers.session() as session, AsyncExitStack() as held, asyncio.timeout(20):
        for _ in range(HELD):
            chat = OllamaClient(direct(session, url)).chat("m:1", "Hello?")
            await held.enter_async_context(aclosing(chat))
            assert await anext(chat) == "Hello"


async def test_requests_share_neither_cookies_nor_connections(slow: tuple[SlowServer, str]) -> None:
    script, url = slow
    script.let.set()
    async with servers.session() as session:
        for _ in range(2):
            chat = OllamaClient(direct(session, url)).chat("m:1", "Hello?")
            assert [each async for each in chat] == ["Hello"]
    assert script.cookies == []
    assert len(script.peers) == 2
