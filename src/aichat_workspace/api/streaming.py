"""Answers that go on: each has a place among the caller's streams, and gives it back however it
ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.problems import Problem
from aichat_workspace.api.throttle import Streams
from aichat_workspace.kube.errors import ApiError, Unreachable

CHECK_SECONDS: Final = 15.0
# Proxies in front are told to pass on each piece as it comes.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Pieces = AsyncGenerator[bytes, None]


class _Stream(StreamingResponse):
    """Closes what it holds, also when nobody was left to read the first piece."""

    def __init__(self, pieces: Pieces, held: AsyncExitStack, media_type: str) -> None:
        super().__init__(pieces, media_type=media_type, headers=_HEADERS)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


async def streamed(
    streams: Streams, caller: str, begin: Callable[[], Awaitable[Pieces]], media_type: str
) -> StreamingResponse:
    """What `begin` gives, once the caller has a place for it. Raises Problem: 429 without one, and
    what `begin` raises."""
    async with AsyncExitStack() as stack:
        stack.enter_context(streams.place(caller))
        pieces = await stack.enter_async_context(aclosing(await begin()))
        return _Stream(pieces, stack.pop_all(), media_type)


async def while_allowed(
    pieces: AsyncGenerator[bytes, None],
    still: Callable[[], Awaitable[object]],
    stopping: asyncio.Event,
    check_seconds: float = CHECK_SECONDS,
) -> Pieces:
    """The pieces until they end, the server stops, their source breaks off, or `still`, asked for
    again and again, raises."""
    clock = asyncio.get_running_loop().time
    stop: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    following: asyncio.Future[bytes | None] | None = None
    due = clock() + check_seconds
    try:
        while not stop.done():
            following = following or asyncio.ensure_future(anext_or_none(pieces))
            wait = max(due - clock(), 0.0)
            await asyncio.wait({following, stop}, timeout=wait, return_when="FIRST_COMPLETED")
            if clock() >= due:
                await still()
                due = clock() + check_seconds
            if following.done():
                piece, following = following.result(), None
                if piece is None:
                    return
                yield piece
    except (Problem, ApiError, Unreachable):
        return
    finally:
        stop.cancel()
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await pieces.aclose()


async def anext_or_none(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)
