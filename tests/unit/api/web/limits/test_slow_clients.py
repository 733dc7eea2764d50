import asyncio

import aiohttp
import pytest
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.web.limits import slow_clients
from tests.unit.api.serving import connect_without_reading, serve
from tests.unit.waiting import until

_STALLED_SECONDS = 1.5
_PIECE = b"x" * 64 * 1024


class EndlessApp:
    """Sends a response without end, until the client is disconnected."""

    def __init__(self) -> None:
        self.requests = 0
        self.disconnects = 0

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        await receive()
        disconnect = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not disconnect.done():
            await send({"type": "http.response.body", "body": _PIECE, "more_body": True})
            await asyncio.sleep(0)
        self.disconnects += 1


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> EndlessApp:
    monkeypatch.setattr(slow_clients, "STALLED_SECONDS", _STALLED_SECONDS)
    return EndlessApp()


async def test_a_client_that_does_not_read_is_disconnected(app: EndlessApp) -> None:
    async with serve(app) as url:
        with connect_without_reading(url, "GET / HTTP/1.1"):
            await until(lambda: app.requests)
            assert not app.disconnects
            await until(lambda: app.disconnects)


async def test_a_client_that_reads_slowly_stays_connected(app: EndlessApp) -> None:
    async with serve(app) as url, aiohttp.ClientSession() as session:
        clock = asyncio.get_running_loop().time
        end = clock() + 3 * _STALLED_SECONDS
        async with session.get(url) as answer:
            while clock() < end:
                assert await answer.content.read(1024 * 1024)
                await asyncio.sleep(_STALLED_SECONDS / 20)
            assert not app.disconnects
        await until(lambda: app.disconnects)
