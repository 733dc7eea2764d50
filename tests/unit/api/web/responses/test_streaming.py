import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from aichat_workspace.api.web.limits.rate_limits import ConcurrencyLimit
from aichat_workspace.api.web.responses.problems import ProblemError, forbidden
from aichat_workspace.api.web.responses.streaming import (
    Pieces,
    cancel_on_disconnect,
    join_pieces,
    stream_response,
    stream_while_authorized,
    wait_for_head,
    with_heartbeats,
)
from aichat_workspace.kube.errors import UnreachableError


class Source:
    """Sends two pieces, and then raises an error or waits."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.is_closed = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            yield b"two"
            if self.error is not None:
                raise self.error
            await asyncio.sleep(60)
        finally:
            self.is_closed = True


async def allow() -> None:
    return None


async def refuse() -> None:
    raise forbidden("ann", "get", "aichatworkspaces/log", "team-a")


async def read_all(
    pieces: Pieces, seen: list[bytes], then: Callable[[bytes], object] = lambda _: None
) -> None:
    async with asyncio.timeout(12):
        async for piece in pieces:
            seen.append(piece)
            then(piece)


async def test_pieces_are_passed_on_until_the_server_stops() -> None:
    source, stopping = Source(), asyncio.Event()
    seen: list[bytes] = []

    def stop(piece: bytes) -> None:
        if piece == b"two":
            stopping.set()

    with pytest.raises(ProblemError) as caught:
        await read_all(stream_while_authorized(source.pieces(), allow, stopping), seen, stop)
    assert caught.value.status == 503
    assert seen == [b"one", b"two"]
    assert source.is_closed


async def test_pieces_end_with_a_problem_when_the_permission_ends() -> None:
    source = Source()
    seen: list[bytes] = []
    with pytest.raises(ProblemError) as caught:
        await read_all(
            stream_while_authorized(source.pieces(), refuse, asyncio.Event(), 0.01), seen
        )
    assert caught.value.status == 403
    assert len(seen) <= 2
    assert source.is_closed


async def test_an_error_of_the_source_is_raised() -> None:
    source = Source(UnreachableError("reset"))
    with pytest.raises(UnreachableError):
        await read_all(stream_while_authorized(source.pieces(), allow, asyncio.Event()), [])
    assert source.is_closed


async def never() -> Message:
    await asyncio.sleep(60)
    raise AssertionError("it should have been cancelled")


async def test_a_response_that_breaks_off_has_no_final_message() -> None:
    """Without it the server breaks the connection off."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    @asynccontextmanager
    async def begin() -> AsyncIterator[Pieces]:
        yield Source(UnreachableError("reset")).pieces()

    streams = ConcurrencyLimit.create(1, 1)
    response = await stream_response(streams, "ann", begin, "text/plain")
    async with asyncio.timeout(12):
        await response({"type": "http", "path": "/"}, never, send)
    assert [message.get("body") for message in sent] == [None, b"one", b"two"]
    assert all(message["more_body"] for message in sent[1:])
    assert streams.taken == 0


@pytest.mark.parametrize("size", [1, 1_000, 64 * 1024, 200_000])
def test_parts_are_joined_up_to_a_size_in_bytes(size: int) -> None:
    parts = [bytes([number % 251]) * size for number in range(300)]
    pieces = list(join_pieces(parts))
    assert b"".join(pieces) == b"".join(parts)
    assert max(map(len, pieces)) < 64 * 1024 + size
    assert len(pieces) <= 300 * size / (64 * 1024) + 1


class Work:
    """Runs until `finishing` is set or it is cancelled."""

    def __init__(self) -> None:
        self.finishing = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> str:
        try:
            await self.finishing.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return "done"


def request_of(*messages: Message) -> Request:
    """Return a request whose caller sends these messages, and then nothing."""
    coming = list(messages)

    async def receive() -> Message:
        if coming:
            return coming.pop(0)
        return await never()

    return Request({"type": "http"}, receive)


async def test_work_is_cancelled_when_its_caller_disconnects_or_the_server_stops() -> None:
    request: Message = {"type": "http.request", "body": b"", "more_body": False}
    stopping = asyncio.Event()
    work = Work()
    work.finishing.set()
    assert await cancel_on_disconnect(request_of(request), stopping, work()) == "done"
    work = Work()
    with pytest.raises(ProblemError) as caught:
        await cancel_on_disconnect(
            request_of(request, {"type": "http.disconnect"}), stopping, work()
        )
    assert (caught.value.status, work.cancelled) == (408, True)
    stopping.set()
    work = Work()
    with pytest.raises(ProblemError) as caught:
        await cancel_on_disconnect(request_of(request), stopping, work())
    assert (caught.value.status, work.cancelled) == (503, True)


class Opened:
    """Opens a source, and notes that it is closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.count = 0
        self.is_closed = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Pieces]:
        self.count += 1
        if self.error is not None:
            raise self.error
        try:
            yield Source().pieces()
        finally:
            self.is_closed = True


async def test_a_stream_takes_its_slot_before_it_begins_and_closes_all_without_a_first_piece() -> (
    None
):
    streams, opened = ConcurrencyLimit.create(1, 2), Opened()
    first = await stream_response(streams, "ann", opened.begin, "text/plain")
    with pytest.raises(ProblemError, match="streams open"):
        await stream_response(streams, "ann", opened.begin, "text/plain")
    assert opened.count == 1

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def broken_send(_: object) -> None:
        raise OSError

    with pytest.raises(ClientDisconnect):
        await first({"type": "http", "asgi": {"spec_version": "2.4"}}, nothing, broken_send)
    assert streams.taken == 0
    assert opened.is_closed


async def test_a_stream_that_can_not_begin_frees_its_slot() -> None:
    streams = ConcurrencyLimit.create(1, 2)
    with pytest.raises(UnreachableError):
        await stream_response(streams, "ann", Opened(UnreachableError("no")).begin, "text/plain")
    assert streams.taken == 0


async def slow_pieces(*pieces: bytes, error: Exception | None = None) -> Pieces:
    for piece in pieces:
        await asyncio.sleep(0.02)
        yield piece
    if error is not None:
        await asyncio.sleep(0.02)
        raise error


async def test_an_early_error_is_raised_before_the_head_and_a_late_one_after() -> None:
    with pytest.raises(UnreachableError):
        async with wait_for_head(slow_pieces(error=UnreachableError("no")), 5):
            raise AssertionError("the head is sent")
    seen: list[bytes] = []
    async with wait_for_head(slow_pieces(b"one", error=UnreachableError("no")), 0) as pieces:
        with pytest.raises(UnreachableError):
            await read_all(pieces, seen)
    assert seen == [b"one"]


@pytest.mark.parametrize("seconds", [0, 5])
async def test_all_pieces_follow_the_head(seconds: float) -> None:
    seen: list[bytes] = []
    async with wait_for_head(slow_pieces(b"one", b"two"), seconds) as pieces:
        await read_all(pieces, seen)
    assert seen == [b"one", b"two"]


async def test_a_source_is_closed_when_the_response_ends_after_the_head_alone() -> None:
    source = Source()
    async with wait_for_head(source.pieces(), 5):
        assert not source.is_closed
    assert source.is_closed


async def test_heartbeats_fill_a_silence_and_the_source_is_closed() -> None:
    source = Source()
    seen = []
    async with aclosing(with_heartbeats(source.pieces(), b"beat", 0.01)) as pieces:
        async for piece in pieces:
            seen.append(piece)
            if len(seen) == 4:
                break
    assert seen == [b"one", b"two", b"beat", b"beat"]
    assert source.is_closed
