"""Limits of request bodies: their size, format and time, and each sender's share of the room."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api.web.limits.shares import ALL_TOGETHER, Shares
from aichat_workspace.api.web.responses import cluster_errors, problems
from aichat_workspace.api.web.responses.error_handlers import error_response

BODY_SECONDS: Final = 10.0
JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
PARTIAL: Final = "application/vnd.aichatworkspaces.partial+json"
"""JSON of documents with only some of their fields."""
API_PREFIX: Final = "/api/"
FORM: Final = "application/x-www-form-urlencoded"
FORMATS: Final = {"POST": (JSON,), "PUT": (JSON,), "PATCH": (MERGE_PATCH, JSON)}
# What a request takes besides its body; it counts as soon as its sender is known.
_REQUEST_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a body, and how much of it may be here."""

    limits: Mapping[str, int]
    """Bytes of all bodies of the sender, and of others that it counts with."""
    room: Shares
    """Bytes of bodies that are here, of all who share the room."""
    max_bytes: int
    """Size of one body."""


@dataclass(frozen=True, slots=True)
class BodyLimitMiddleware:
    """ASGI middleware: reads the whole body, once its sender is known.

    The framework would read it before it authenticates the caller. A body that is too large is
    refused with 413, one that arrives too slowly with 408, another format with 415, one beyond the
    sender's share with 429, and one that does not fit beside the other bodies with 503. What counts
    are the bytes that are here, until the response begins. Requests without a body, as probes are,
    are never refused.
    """

    app: ASGIApp
    admit: Callable[[Request], Awaitable[Sender]]
    """Returns the sender by the request's head; raises a reportable error for none."""
    max_bytes: int
    """Size of one body."""
    seconds: float = BODY_SECONDS
    """Time for a body to arrive."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = (
            _declared_bytes(Headers(scope=scope), self.max_bytes) if scope["type"] == "http" else 0
        )
        if not size:
            await self.app(scope, receive, send)
            return
        with ExitStack() as reservation:
            try:
                is_chunked = "transfer-encoding" in Headers(scope=scope)
                _require_fit(size, self.max_bytes)
                if not is_chunked:
                    _require_format(scope)
                sender = await self.admit(Request(scope))
                if not is_chunked:
                    _require_fit(size, sender.max_bytes)
                hold = reservation.enter_context(_hold_bytes(sender))
                body = await self._read_body(receive, sender, hold)
                if body:
                    _require_format(scope)  # of a chunked body, which may be empty
            except cluster_errors.REPORTABLE_ERRORS as error:
                # The rest of the body is not read, so the connection can't be used again.
                response = error_response(Request(scope), error)
                response.headers["Connection"] = "close"
                await response(scope, receive, send)
                return

            async def releasing_send(message: Message) -> None:
                reservation.close()  # a long response must not keep its request's body
                await send(message)

            if body is not None:
                await self.app(scope, _replay(body, receive), releasing_send)

    async def _read_body(
        self, receive: Receive, sender: Sender, hold: Callable[[int], None]
    ) -> bytes | None:
        """Return the body, or None when the caller disconnected before its end."""
        body = bytearray()
        try:
            async with asyncio.timeout(self.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    piece = message.get("body", b"")
                    if len(body) + len(piece) > sender.max_bytes:
                        raise problems.too_large(sender.max_bytes)
                    hold(len(piece))
                    body += piece
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise problems.too_slow(self.seconds) from None


@contextmanager
def _hold_bytes(sender: Sender) -> Iterator[Callable[[int], None]]:
    """Count bytes for the sender until the block ends; yield a function that counts more.

    It raises ProblemError: 429 beyond the sender's share, 503 beyond the room.
    """
    with sender.room.growing(sender.limits) as grow:

        def hold(size: int) -> None:
            holder = grow(size)
            if holder == ALL_TOGETHER:
                raise problems.no_room()
            if holder is not None:
                raise problems.too_many("Too many of your bodies are on their way here.", 1)

        hold(_REQUEST_BYTES)
        yield hold


def _require_fit(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise problems.too_large(max_bytes)


def _require_format(scope: Scope) -> None:
    formats = _formats(scope["method"], scope["path"])
    content_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    if formats and content_type not in formats:
        raise problems.unsupported(content_type, scope["method"], formats)


def _formats(method: str, path: str) -> tuple[str, ...]:
    """Return the formats of a request's body; only pages outside the API send forms."""
    formats = FORMATS.get(method, ())
    is_page = method == "POST" and not path.startswith(API_PREFIX)
    return (*formats, FORM) if is_page else formats


def _declared_bytes(headers: Headers, max_bytes: int) -> int:
    """Return the size that the headers declare; without one, the largest that is allowed."""
    if "transfer-encoding" in headers:
        return max_bytes
    length = headers.get("content-length", "0")
    return int(length) if length.isdecimal() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that gives the body at once, then the connection's messages."""
    pieces: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pieces.pop() if pieces else await receive()

    return next_message
