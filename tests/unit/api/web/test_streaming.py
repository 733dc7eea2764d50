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
    """Two pieces and then silence; says whether it was closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            yield b"two"
            if self.error is not None:
                raise self.error
            await asyncio.sleep(60)
        finally:
            self.closed = True


async def fine() -> None:
    return None


async def gone() -> None:
    raise forbidden("ann", "get", "aichatworkspaces/log", "team-a")


async def taken(
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
        await taken(stream_while_authorized(source.pieces(), fine, stopping), seen, stop)
    assert caught.value.status == 503
    assert seen == [b"one", b"two"]
    assert source.closed


async def test_pieces_end_soon_after_the_permission_does_and_say_so() -> None:
    source = Source()
    seen: list[bytes] = []
    with pytest.raises(ProblemError) as caught:
        await taken(stream_while_authorized(source.pieces(), gone, asyncio.Event(), 0.01), seen)
    assert caught.value.status == 403
    assert len(seen) <= 2
    assert source.closed


async def test_pieces_of_a_source_that_breaks_off_are_not_taken_for_all() -> None:
    source = Source(UnreachableError("reset"))
    with pytest.raises(UnreachableError):
        await taken(stream_while_authorized(source.pieces(), fine, asyncio.Event()), [])
    assert source.closed


async def never() -> Message:
    await asyncio.sleep(60)
    raise AssertionError("it was to be given up")


async def test_a_stream_that_breaks_off_has_no_end() -> None:
    """Which tells the server to break the connection off."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def begin() -> Pieces:
        return Source(UnreachableError("reset")).pieces()

    places = ConcurrencyLimit(1, 1)
    answer = await stream_response(places, "ann", begin, "text/plain")
    async with asyncio.timeout(12):
        await answer({"type": "http", "path": "/"}, never, send)
    assert [each.get("body") for each in sent] == [None, b"one", b"two"]
    assert all(each["more_body"] for each in sent[1:])
    assert places.taken == 0


@pytest.mark.parametrize("size", [1, 1_000, 64 * 1024, 200_000])
def test_pieces_are_cut_by_their_bytes(size: int) -> None:
    parts = [bytes([at % 251]) * size for at in range(300)]
    pieces = list(join_pieces(parts))
    assert b"".join(pieces) == b"".join(parts)
    assert max(map(len, pieces)) < 64 * 1024 + size
    assert len(pieces) <= 300 * size / (64 * 1024) + 1


class Work:
    """Goes on until it is let; says whether it was given up."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.given_up = False

    async def __call__(self) -> str:
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.given_up = True
            raise
        return "done"


def asked_by(*messages: Message) -> Request:
    """A request whose caller sends these, and then waits for ever."""
    coming = list(messages)

    async def receive() -> Message:
        if coming:
            return coming.pop(0)
        return await never()

    return Request({"type": "http"}, receive)


async def test_work_is_given_up_when_its_caller_goes_or_the_server_stops() -> None:
    request: Message = {"type": "http.request", "body": b"", "more_body": False}
    stopping = asyncio.Event()
    work = Work()
    work.let.set()
    assert await cancel_on_disconnect(asked_by(request), stopping, work()) == "done"
    work = Work()
    with pytest.raises(ProblemError) as caught:
        await cancel_on_disconnect(asked_by(request, {"type": "http.disconnect"}), stopping, work())
    assert (caught.value.status, work.given_up) == (408, True)
    stopping.set()
    work = Work()
    with pytest.raises(ProblemError) as caught:
        await cancel_on_disconnect(asked_by(request), stopping, work())
    assert (caught.value.status, work.given_up) == (503, True)


async def test_a_stream_has_its_place_before_anything_is_opened_and_gives_it_back() -> None:
    streams = ConcurrencyLimit(1, 2)
    opened = []

    async def begin() -> Pieces:
        opened.append(1)
        return Source().pieces()

    first = await stream_response(streams, "ann", begin, "text/plain")
    with pytest.raises(ProblemError, match="streams open"):
        await stream_response(streams, "ann", begin, "text/plain")
    assert len(opened) == 1

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def nobody_listens(_: object) -> None:
        raise OSError

    with pytest.raises(ClientDisconnect):
        await first({"type": "http", "asgi": {"spec_version": "2.4"}}, nothing, nobody_listens)
    assert streams.taken == 0


async def test_what_cannot_begin_keeps_no_place() -> None:
    streams = ConcurrencyLimit(1, 2)

    async def begin() -> Pieces:
        raise UnreachableError("no")

    with pytest.raises(UnreachableError):
        await stream_response(streams, "ann", begin, "text/plain")
    assert streams.taken == 0
