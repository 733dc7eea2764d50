"""Streamed responses: each takes a slot of the caller's until it ends, and buffers one piece.

An incomplete response is recognizable: server-sent events end with one that says why, and any other
response breaks its connection off.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
)
from typing import Any, Final, TypeVar

import structlog
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.web.limits.rate_limits import ConcurrencyLimit
from aichat_workspace.api.web.responses import cluster_errors, problems
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.web.responses.security_headers import NO_STORE

CHECK_SECONDS: Final = 15.0
# Proxies in front close connections that are quiet for a minute.
HEARTBEAT_SECONDS: Final = 15.0
HEARTBEAT: Final = b": heartbeat\n\n"
EVENT_STREAM: Final = "text/event-stream"
# Faults of the first second are known before the response's head is sent.
_HEAD_SECONDS: Final = 1.0
# Proxies in front pass on each piece as it comes.
NO_BUFFERING: Final = {**NO_STORE, "X-Accel-Buffering": "no"}
PIECE_BYTES: Final = 64 * 1024
_log: Final = structlog.get_logger()

Pieces = AsyncGenerator[bytes, None]
T = TypeVar("T")


class _Stream(StreamingResponse):
    """Closes its resources, even if the client left before the first piece.

    A response that breaks off is left without its end, so the server breaks the connection off.
    """

    def __init__(
        self, pieces: Pieces, resources: AsyncExitStack, media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._resources:
                await super().__call__(scope, receive, send)
        except cluster_errors.REPORTABLE_ERRORS as error:
            detail = cluster_errors.as_problem(error).detail
            _log.warning("a stream was broken off", path=scope.get("path"), why=detail)


async def stream_response(
    limit: ConcurrencyLimit,
    caller: str,
    begin: Callable[[], AbstractAsyncContextManager[Pieces]],
    media_type: str,
    headers: Mapping[str, str] = NO_BUFFERING,
) -> StreamingResponse:
    """Stream the pieces of `begin` in a slot of the caller's.

    What `begin` opens it closes when the response ends, even before its first piece: a generator
    that was never started would close nothing. Raises ProblemError (429) without a free slot, and
    what `begin` raises.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(limit.slot(caller))
        pieces = await stack.enter_async_context(begin())
        await stack.enter_async_context(aclosing(pieces))
        return _Stream(pieces, stack.pop_all(), media_type, headers)


def join_pieces(parts: Iterable[bytes]) -> Iterable[bytes]:
    """Join parts into pieces that are large enough to write, and small enough to buffer."""
    piece: list[bytes] = []
    size = 0
    for part in parts:
        piece.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            whole = b"".join(piece)
            piece, size = [], 0  # a waiting stream must not hold the parts as well
            yield whole
    if piece:
        yield b"".join(piece)


async def stream_while_authorized(
    pieces: AsyncGenerator[T, None],
    check: Callable[[], Awaitable[object]],
    stopping: asyncio.Event,
    check_seconds: float = CHECK_SECONDS,
) -> AsyncGenerator[T, None]:
    """Yield the pieces until they end, and call `check` every `check_seconds`.

    Raises what the pieces or `check` raise, and ProblemError (503) when the server stops.
    """
    clock = asyncio.get_running_loop().time
    stop: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    next_piece: asyncio.Future[T | None] | None = None
    due = clock() + check_seconds
    try:
        while not stop.done():
            next_piece = next_piece or asyncio.ensure_future(_anext_or_none(pieces))
            wait = max(due - clock(), 0.0)
            await asyncio.wait({next_piece, stop}, timeout=wait, return_when="FIRST_COMPLETED")
            if clock() >= due:
                await check()
                due = clock() + check_seconds
            if next_piece.done():
                piece, next_piece = next_piece.result(), None
                if piece is None:
                    return
                yield piece
        raise problems.server_stopping()
    finally:
        stop.cancel()
        if next_piece is not None:
            next_piece.cancel()
            await asyncio.gather(next_piece, return_exceptions=True)
        await pieces.aclose()


@asynccontextmanager
async def wait_for_head(
    pieces: AsyncGenerator[T, None], seconds: float | None = None
) -> AsyncIterator[AsyncGenerator[T, None]]:
    """Wait for the first piece, but no longer than `seconds` (one when left out), and yield all
    pieces.

    Raises what the pieces raise in this time.
    """
    first = asyncio.ensure_future(_anext_or_none(pieces))
    try:
        await asyncio.wait({first}, timeout=_HEAD_SECONDS if seconds is None else seconds)
        if first.done():
            first.result()
        async with aclosing(_go_on(first, pieces)) as all_pieces:
            yield all_pieces
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await pieces.aclose()


async def _go_on(
    first: asyncio.Future[T | None], pieces: AsyncGenerator[T, None]
) -> AsyncGenerator[T, None]:
    piece = await first
    while piece is not None:
        yield piece
        piece = await _anext_or_none(pieces)


async def with_heartbeats(
    pieces: AsyncGenerator[T, None], heartbeat: T, seconds: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[T, None]:
    """Yield the pieces, and `heartbeat` whenever none has come for `seconds`."""
    async with aclosing(pieces):
        while True:
            next_piece = asyncio.ensure_future(_anext_or_none(pieces))
            try:
                while not (await asyncio.wait({next_piece}, timeout=seconds))[0]:
                    yield heartbeat
                piece = next_piece.result()
            finally:
                next_piece.cancel()
                await asyncio.gather(next_piece, return_exceptions=True)
            if piece is None:
                return
            yield piece


async def _anext_or_none(pieces: AsyncIterator[T]) -> T | None:
    return await anext(pieces, None)


async def cancel_on_disconnect(request: Request, stopping: asyncio.Event, work: Awaitable[T]) -> T:
    """Return the work's result; cancel the work when the caller disconnects or the server stops.

    Raises ProblemError (408, 503), and what the work raises.
    """
    working = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(_wait_for_disconnect(request))
    stop = asyncio.ensure_future(stopping.wait())
    tasks: set[asyncio.Future[Any]] = {working, disconnect, stop}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if stop.done():
            raise problems.server_stopping()
        raise ProblemError(408, "gone", "You disconnected before there was an answer.")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wait_for_disconnect(request: Request) -> None:
    """Wait for the end of the connection; the body has been read already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def server_sent_event(kind: str, data: bytes, event_id: object | None = None) -> bytes:
    """Format an event with its id; an empty one clears the id that the client keeps."""
    head = "" if event_id is None else f"id: {event_id}\n"
    return b"%sevent: %s\ndata: %s\n\n" % (head.encode(), kind.encode(), data)
