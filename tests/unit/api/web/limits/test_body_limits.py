import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx2
import pytest
from fastapi import Body, FastAPI
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.types import ASGIApp, Message

from aichat_workspace.api.web.limits.body_limits import BodyLimitMiddleware, Sender
from aichat_workspace.api.web.limits.shares import Shares
from aichat_workspace.api.web.responses import error_handlers, problems
from tests.unit.waiting import turns

_JSON = {"Content-Type": "application/json"}


def application() -> FastAPI:
    app = FastAPI()
    error_handlers.install(app)

    @app.post("/size")
    @app.patch("/size")
    async def size(body: Any = Body()) -> int:  # noqa: B008  (FastAPI's way)
        return len(body)

    @app.post("/empty")
    async def empty() -> None:
        return None

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("unexpected detail")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(_words())

    app.add_middleware(error_handlers.ErrorMiddleware)
    return app


async def _words() -> AsyncIterator[bytes]:
    yield b"one "
    await asyncio.sleep(0.01)
    yield b"two"


def limited(
    app: ASGIApp,
    *,
    room: Shares | None = None,
    seconds: float = 5.0,
    max_bytes: int = 100,
    share: int = 1_000_000,
) -> BodyLimitMiddleware:
    """Limit bodies; the header X-Sender names the sender, and none is refused."""
    room = room or Shares(1_000_000)

    async def admit(request: Request) -> Sender:
        name = request.headers.get("X-Sender", "ann")
        if name == "nobody":
            raise problems.unauthenticated("Send a token.")
        return Sender({name: share}, room, max_bytes)

    return BodyLimitMiddleware(app, admit, max_bytes=100, seconds=seconds)


def http_client(app: ASGIApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api")


@pytest.fixture
def client() -> httpx2.AsyncClient:
    return http_client(limited(application()))


class Connection:
    """A request whose body comes in pieces, and stays away after them until `ended`. Nothing but an
    answer is told of it in `sent`."""

    def __init__(
        self,
        *pieces: bytes,
        length: int | None = None,
        path: str = "/size",
        sender: str = "ann",
    ) -> None:
        length_header = (b"transfer-encoding", b"chunked")
        if length is not None:
            length_header = (b"content-length", str(length).encode())
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [
                (b"content-type", b"application/json"),
                (b"x-sender", sender.encode()),
                length_header,
            ],
        }
        self.sent: list[Message] = []
        self.ended = asyncio.Event()
        self.reads = 0
        self._pieces = list(pieces)

    async def receive(self) -> Message:
        self.reads += 1
        if self._pieces:
            return {"type": "http.request", "body": self._pieces.pop(0), "more_body": True}
        await self.ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def response(self) -> tuple[int, dict[bytes, bytes]]:
        return self.sent[0]["status"], dict(self.sent[0]["headers"])


async def start(
    app: BodyLimitMiddleware, connections: Iterable[Connection]
) -> list[asyncio.Task[None]]:
    tasks = [
        asyncio.create_task(app(connection.scope, connection.receive, connection.send))
        for connection in connections
    ]
    await turns()
    return tasks


async def _pieces(total: int) -> Any:
    yield b'"'
    for _ in range(total - 2):
        yield b"a"
    yield b'"'


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413)])
async def test_a_body_is_limited_to_the_byte_with_or_without_content_length(
    client: httpx2.AsyncClient, size: int, status: int
) -> None:
    whole = await client.post("/size", content=b'"' + b"a" * (size - 2) + b'"', headers=_JSON)
    pieces = await client.post("/size", content=_pieces(size), headers=_JSON)
    for response in (whole, pieces):
        assert response.status_code == status
        if status == 413:
            assert response.json()["code"] == "too-large"
            assert response.headers["Connection"] == "close"
            assert "100 bytes" in response.json()["detail"]


async def test_a_streamed_response_to_a_large_body_is_refused_before_it_begins(
    client: httpx2.AsyncClient,
) -> None:
    refused = await client.request("GET", "/stream", content=_pieces(101))
    assert refused.status_code == 413
    assert (await client.request("GET", "/stream", content=_pieces(99))).text == "one two"


@pytest.mark.parametrize("pieces", [[], [b'"a'], [b'"', b"a", b"b"]])
async def test_a_body_that_stalls_is_408_and_closes_the_connection(pieces: list[bytes]) -> None:
    stalled = Connection(*pieces, length=90)
    async with asyncio.timeout(30):
        await limited(application(), seconds=0.05)(stalled.scope, stalled.receive, stalled.send)
    status, headers = stalled.response
    assert (status, headers[b"connection"]) == (408, b"close")
    assert headers[b"content-type"] == b"application/problem+json"


async def test_heads_that_promise_bodies_take_no_room_from_others() -> None:
    """What counts is what is here, not what is declared."""
    room = Shares(4 * 16_384)
    app = limited(application(), room=room, share=2 * 16_384)
    tasks = await start(app, [Connection(length=100), *[Connection() for _ in range(200)]])
    assert room.total == 2 * 16_384
    async with http_client(app) as client:
        first = await client.post("/size", json="a" * 40, headers={"X-Sender": "ann"})
        other = await client.post("/size", json="a" * 40, headers={"X-Sender": "bob"})
    assert (first.status_code, first.headers["Retry-After"]) == (429, "1")
    assert "Too many of your bodies" in first.json()["detail"]
    assert other.status_code == 200
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert room.total == 0


async def test_all_bodies_together_are_limited_except_for_requests_without_body() -> None:
    room = Shares(2 * 16_384 + 50)
    app = limited(application(), room=room)
    stalled = [Connection(b"a" * 40, length=100), Connection(sender="bob")]
    tasks = await start(app, stalled)
    assert room.total == 2 * 16_384 + 40
    async with http_client(app) as client:
        refused = await client.post("/size", json="a" * 90, headers={"X-Sender": "eve"})
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert refused.headers["Connection"] == "close"
        assert (await client.get("/stream")).status_code == 200
        for connection in stalled:
            connection.ended.set()
        await asyncio.gather(*tasks)
        assert room.total == 0
        assert (await client.post("/size", json="a" * 90)).status_code == 200
    assert room.total == 0


async def test_a_body_is_read_only_when_its_sender_is_known() -> None:
    connection = Connection(b'"a', length=90, sender="nobody")
    await limited(application())(connection.scope, connection.receive, connection.send)
    status, headers = connection.response
    assert (status, headers[b"connection"]) == (401, b"close")
    assert connection.reads == 0


@pytest.mark.parametrize("length", [60, None])
async def test_a_sender_may_have_a_smaller_limit(length: int | None) -> None:
    connection = Connection(b'"%s"' % (b"a" * 58), length=length)
    app = limited(application(), max_bytes=50)
    await app(connection.scope, connection.receive, connection.send)
    assert connection.response[0] == 413


async def test_a_caller_who_disconnects_before_the_end_gets_no_response() -> None:
    connection = Connection(b'"a')
    connection.ended.set()
    await limited(application())(connection.scope, connection.receive, connection.send)
    assert not connection.sent


async def test_a_response_that_has_begun_reserves_no_bytes() -> None:
    finishing = asyncio.Event()

    async def respond_slowly(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await finishing.wait()

    room = Shares(16_384 + 100)
    app = limited(respond_slowly, room=room)
    first, second = ({"type": "http.request", "body": b"1"} for _ in range(2))
    streams = [Connection(length=100), Connection(length=100)]
    for connection, message in zip(streams, (first, second), strict=True):
        connection.receive = _once(message)  # type: ignore[method-assign]
    tasks = [(await start(app, [connection]))[0] for connection in streams]
    assert [connection.response[0] for connection in streams] == [200, 200]
    assert room.total == 0
    finishing.set()
    await asyncio.gather(*tasks)


def _once(message: Message) -> Any:
    async def receive() -> Message:
        return message

    return receive


@pytest.mark.parametrize(
    ("method", "content_type", "status"),
    [
        ("POST", "application/json", 200),
        ("POST", "Application/JSON; charset=utf-8", 200),
        ("POST", "application/merge-patch+json", 415),
        ("POST", "application/vnd.api+json", 415),
        ("POST", "text/plain", 415),
        ("POST", None, 415),
        ("PATCH", "application/json", 200),
        ("PATCH", "application/merge-patch+json", 200),
        ("PATCH", "application/json-patch+json", 415),
    ],
)
async def test_a_body_of_another_format_is_415_with_the_accepted_ones(
    client: httpx2.AsyncClient, method: str, content_type: str | None, status: int
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = await client.request(method, "/size", content=b'{"a": 1}', headers=headers)
    assert response.status_code == status, response.text
    if status == 415:
        accepted = response.headers["Accept-Patch" if method == "PATCH" else "Accept"]
        assert "application/json" in accepted
        assert ("application/merge-patch+json" in accepted) is (method == "PATCH")
        assert response.headers["Content-Type"] == "application/problem+json"
        assert "application/json" in response.json()["detail"]


async def test_an_empty_chunked_body_needs_no_format(client: httpx2.AsyncClient) -> None:
    """Proxies and some clients send one with every POST."""

    async def nothing() -> AsyncIterator[bytes]:
        pieces: list[bytes] = []
        for piece in pieces:
            yield piece

    assert (await client.post("/empty", content=nothing())).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 99, b""])
async def test_a_body_that_is_no_json_is_422(client: httpx2.AsyncClient, body: bytes) -> None:
    response = await client.post("/size", content=body, headers=_JSON)
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"


async def test_a_bug_is_a_problem_document_without_the_exceptions_text(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.get("/broken")
    assert response.status_code == 500
    assert response.json()["code"] == "bug"
    assert "unexpected detail" not in response.text
