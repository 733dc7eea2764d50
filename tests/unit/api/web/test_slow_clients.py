import asyncio

import aiohttp
import pytest
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.web import slow_clients
from tests.unit.api.serving import deaf, serving
from tests.unit.waiting import until

_STALLED_SECONDS = 1.5
_PIECE = b"x" * 64 * 1024


class Endless:
    """An answer that goes on until the connection is gone."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        await receive()
        gone = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": _PIECE, "more_body": True})
            await asyncio.sleep(0)
        self.ended += 1


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Endless:
    monkeypatch.setattr(slow_clients, "STALLED_SECONDS", _STALLED_SECONDS)
    return Endless()


async def test_who_does_not_read_is_given_up(endless: Endless) -> None:
    async with serving(endless) as url:
        with deaf(url, "GET / HTTP/1.1"):
            await until(lambda: endless.begun)
            assert not endless.ended
            await until(lambda: endless.ended)


async def test_who_reads_slowly_is_not(endless: Endless) -> None:
    async with serving(endless) as url, aiohttp.ClientSession() as session:
        clock = asyncio.get_running_loop().time
        end = clock() + 3 * _STALLED_SECONDS
        async with session.get(url) as answer:
            while clock() < end:
                assert await answer.content.read(1024 * 1024)
                await asyncio.sleep(_STALLED_SECONDS / 20)
            assert not endless.ended
        await until(lambda: endless.ended)
