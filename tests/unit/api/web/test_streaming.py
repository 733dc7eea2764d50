import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from aichat_workspace.api.web.problems import ProblemError, forbidden
from aichat_workspace.api.web.rate_limits import ConcurrencyLimit
from aichat_workspace.api.web.streaming import (
    Pieces,
    cancel_on_disconnect,
    join_pieces,
    stream_response,
    stream_while_authorized,
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

    async def begin() -> Pieces:
        return Source(UnreachableError("reset")).pieces()

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


async def test_a_stream_takes_its_slot_before_it_begins_and_frees_it_after() -> None:
    streams = ConcurrencyLimit.create(1, 2)
    begun = []

    async def begin() -> Pieces:
        begun.append(1)
        return Source().pieces()

    first = await stream_response(streams, "ann", begin, "text/plain")
    with pytest.raises(ProblemError, match="streams open"):
        await stream_response(streams, "ann", begin, "text/plain")
    assert len(begun) == 1

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def broken_send(_: object) -> None:
        raise OSError

    with pytest.raises(ClientDisconnect):
        await first({"type": "http", "asgi": {"spec_version": "2.4"}}, nothing, broken_send)
    assert streams.taken == 0


async def test_a_stream_that_can_not_begin_frees_its_slot() -> None:
    streams = ConcurrencyLimit.create(1, 2)

    async def begin() -> Pieces:
        raise UnreachableError("no")

    with pytest.raises(UnreachableError):
        await stream_response(streams, "ann", begin, "text/plain")
    assert streams.taken == 0
