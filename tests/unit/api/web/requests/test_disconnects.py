import asyncio
from dataclasses import dataclass, field

import pytest
from starlette.types import Message, Receive, Scope, Send

from aichat_workspace.api.web.requests.disconnects import DisconnectMiddleware
from tests.unit.waiting import turns


@dataclass
class FakeApp:
    """Waits before its response, or in the middle of it, until `going_on` is set."""

    is_begun: bool = False
    going_on: asyncio.Event = field(default_factory=asyncio.Event)
    end: str = ""

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        try:
            if self.is_begun:
                await send({"type": "http.response.start", "status": 200, "headers": []})
            await self.going_on.wait()
            self.end = "whole"
        except asyncio.CancelledError:
            self.end = "cancelled"
            raise


@dataclass
class Connection:
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    messages: list[Message] = field(default_factory=lambda: [{"type": "http.request"}])
    receivers: int = 0

    async def receive(self) -> Message:
        self.receivers += 1
        try:
            if self.messages:
                return self.messages.pop()
            await self.gone.wait()
            return {"type": "http.disconnect"}
        finally:
            self.receivers -= 1

    async def send(self, _: Message) -> None:
        pass


def start(app: FakeApp, connection: Connection, method: str) -> "asyncio.Task[None]":
    scope = {"type": "http", "method": method}
    return asyncio.ensure_future(
        DisconnectMiddleware(app)(scope, connection.receive, connection.send)
    )


@pytest.mark.parametrize(
    ("method", "is_begun", "end"),
    [
        ("GET", False, "cancelled"),
        ("HEAD", False, "cancelled"),
        ("GET", True, ""),
        ("POST", False, ""),
        ("DELETE", False, ""),
    ],
)
async def test_only_a_read_without_a_response_ends_when_its_caller_disconnects(
    method: str, is_begun: bool, end: str
) -> None:
    app, connection = FakeApp(is_begun), Connection()
    request = start(app, connection, method)
    await turns()
    connection.gone.set()
    await turns()
    assert app.end == end
    app.going_on.set()
    await request
    assert app.end == (end or "whole")
    assert not connection.receivers


async def test_the_application_gets_what_the_connection_says_before_and_after_it_answers() -> None:
    heard: list[str] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        heard.append((await receive())["type"])

    connection = Connection()
    scope = {"type": "http", "method": "GET"}
    request = asyncio.ensure_future(
        DisconnectMiddleware(app)(scope, connection.receive, connection.send)
    )
    await turns()
    assert heard == ["http.request"]
    connection.gone.set()
    await request
    assert heard == ["http.request", "http.disconnect"]


async def test_a_request_that_the_server_cancels_stays_cancelled() -> None:
    app, connection = FakeApp(), Connection()
    request = start(app, connection, "GET")
    await turns()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await turns()
    assert (app.end, connection.receivers) == ("cancelled", 0)
