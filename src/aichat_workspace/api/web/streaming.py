"""Streamed responses: each takes a slot of the caller's until it ends, and buffers one piece.

An incomplete response is recognizable: server-sent events end with one that says why, and any other
response breaks its connection off.
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
# Proxies in front pass on each piece as it comes.
NO_BUFFERING: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_PIECE_BYTES: Final = 64 * 1024
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
        except problems.REPORTABLE_ERRORS as error:
            detail = problems.as_problem(error).detail
            _log.warning("a stream was broken off", path=scope.get("path"), why=detail)


async def stream_response(
    limit: ConcurrencyLimit,
    caller: str,
    begin: Callable[[], Awaitable[Pieces]],
    media_type: str,
    headers: Mapping[str, str] = NO_BUFFERING,
) -> StreamingResponse:
    """Stream the pieces of `begin` in a slot of the caller's.

    Raises ProblemError (429) without a free slot, and what `begin` raises.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(limit.slot(caller))
        pieces = await stack.enter_async_context(aclosing(await begin()))
        return _Stream(pieces, stack.pop_all(), media_type, headers)


def join_pieces(parts: Iterable[bytes]) -> Iterable[bytes]:
    """Join parts into pieces that are large enough to write, and small enough to buffer."""
    piece: list[bytes] = []
    size = 0
    for part in parts:
        piece.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
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
