import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from aichat_workspace.api.problems import Problem, forbidden
from aichat_workspace.api.settings import Bounds
from aichat_workspace.api.streaming import Pieces, streamed, while_allowed
from aichat_workspace.api.throttle import Streams
from aichat_workspace.kube.errors import Unreachable


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


async def test_pieces_are_passed_on_until_the_server_stops() -> None:
    source, stopping = Source(), asyncio.Event()
    seen = []
    async with asyncio.timeout(5):
        async for piece in while_allowed(source.pieces(), fine, stopping):
            seen.append(piece)
            if piece == b"two":
                stopping.set()
    assert seen == [b"one", b"two"]
    assert source.closed


async def test_pieces_end_soon_after_the_permission_does() -> None:
    async def gone() -> None:
        raise forbidden("ann", "get", "aichatworkspaces/log", "team-a")

    source = Source()
    async with asyncio.timeout(5):
        seen = [each async for each in while_allowed(source.pieces(), gone, asyncio.Event(), 0.01)]
    assert len(seen) <= 2
    assert source.closed


async def test_a_source_that_breaks_off_ends_the_stream_quietly() -> None:
    source = Source(Unreachable("reset"))
    async with asyncio.timeout(5):
        seen = [each async for each in while_allowed(source.pieces(), fine, asyncio.Event())]
    assert seen == [b"one", b"two"]


async def test_a_stream_has_its_place_before_anything_is_opened_and_gives_it_back() -> None:
    streams = Streams(Bounds(streams_per_caller=1))
    opened = []

    async def begin() -> Pieces:
        opened.append(1)
        return Source().pieces()

    first = await streamed(streams, "ann", begin, "text/plain")
    with pytest.raises(Problem, match="streams open"):
        await streamed(streams, "ann", begin, "text/plain")
    assert len(opened) == 1

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def nobody_listens(_: object) -> None:
        raise OSError

    with pytest.raises(ClientDisconnect):
        await first({"type": "http", "asgi": {"spec_version": "2.4"}}, nothing, nobody_listens)
    assert streams.open == 0


async def test_what_cannot_begin_keeps_no_place() -> None:
    streams = Streams(Bounds())

    async def begin() -> Pieces:
        raise Unreachable("no")

    with pytest.raises(Unreachable):
        await streamed(streams, "ann", begin, "text/plain")
    assert streams.open == 0
