"""Answers that go on: each has a place among the caller's, gives it back however it ends, and holds
no more than a piece for whoever does not read.

One that is not whole does not look so: server-sent events end with one that says why, and any other
answer breaks its connection off.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final, TypeVar

import structlog
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.web import problems
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.web.rate_limits import ConcurrencyLimit

CHECK_SECONDS: Final = 15.0
# Proxies in front are told to pass on each piece as it comes.
AS_IT_COMES: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_PIECE_BYTES: Final = 64 * 1024
_log: Final = structlog.get_logger()

Pieces = AsyncGenerator[bytes, None]
T = TypeVar("T")


class _Stream(StreamingResponse):
    """Closes what it holds, also when nobody was left to read the first piece. What breaks off is
    left without its end, upon which the server breaks the connection off."""

    def __init__(
        self, pieces: Pieces, held: AsyncExitStack, media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._held:
                await super().__call__(scope, receive, send)
        except problems.TOLD as error:
            why = problems.of(error).detail
            _log.warning("a stream was broken off", path=scope.get("path"), why=why)


async def streamed(
    places: ConcurrencyLimit,
    caller: str,
    begin: Callable[[], Awaitable[Pieces]],
    media_type: str,
    headers: Mapping[str, str] = AS_IT_COMES,
) -> StreamingResponse:
    """What `begin` gives, once the caller has a place for it. Raises ProblemError: 429 without one,
    and what `begin` raises."""
    async with AsyncExitStack() as stack:
        stack.enter_context(places.place(caller))
        pieces = await stack.enter_async_context(aclosing(await begin()))
        return _Stream(pieces, stack.pop_all(), media_type, headers)


def joined(parts: Iterable[bytes]) -> Iterable[bytes]:
    """Several parts in one write, and not too many: a slow reader holds no more than one."""
    piece: list[bytes] = []
    size = 0
    for each in parts:
        piece.append(each)
        size += len(each)
        if size >= _PIECE_BYTES:
            whole = b"".join(piece)
            piece, size = [], 0  # whoever waits holds it once, and not in parts as well
            yield whole
    if piece:
        yield b"".join(piece)


async def stream_while_authorized(
    pieces: AsyncGenerator[T, None],
    still: Callable[[], Awaitable[object]],
    stopping: asyncio.Event,
    check_seconds: float = CHECK_SECONDS,
) -> AsyncGenerator[T, None]:
    """The pieces until they end. Raises what their source raises, what `still` raises, which is
    asked again and again, and Problem (503) when the server stops."""
    clock = asyncio.get_running_loop().time
    stop: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    following: asyncio.Future[T | None] | None = None
    due = clock() + check_seconds
    try:
        while not stop.done():
            following = following or asyncio.ensure_future(_anext_or_none(pieces))
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
        raise problems.stops()
    finally:
        stop.cancel()
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await pieces.aclose()


async def _anext_or_none(pieces: AsyncIterator[T]) -> T | None:
    return await anext(pieces, None)


async def cancel_on_disconnect(request: Request, stopping: asyncio.Event, work: Awaitable[T]) -> T:
    """What the work comes to; it is given up when the caller goes or the server stops, for the
    server tells neither to whoever is at work. Raises ProblemError (408, 503), and what the work
    raises."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    stop = asyncio.ensure_future(stopping.wait())
    every: set[asyncio.Future[Any]] = {working, gone, stop}
    try:
        await asyncio.wait(every, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if stop.done():
            raise problems.stops()
        raise ProblemError(408, "gone", "You have gone before there was an answer.")
    finally:
        for each in every:
            each.cancel()
        await asyncio.gather(*every, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    """The body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
