"""Limits of request bodies: their size, format and time, and the size of all together."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api.web import problems
from aichat_workspace.api.web.error_handlers import problem_response
from aichat_workspace.api.web.problems import ProblemError

BODY_SECONDS: Final = 10.0
JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
_API: Final = "/api/"
FORM: Final = "application/x-www-form-urlencoded"
FORMATS: Final = {"POST": (JSON,), "PUT": (JSON,), "PATCH": (MERGE_PATCH, JSON)}


@dataclass(slots=True)
class BodyLimitMiddleware:
    """ASGI middleware: reads the whole body before the application sees the request.

    The framework would read it before it authenticates the caller. A body that is too large is
    refused with 413, one that arrives too slowly with 408, another format with 415, and one that
    does not fit beside the other bodies with 503. Requests without a body, as probes are, are never
    refused.
    """

    app: ASGIApp
    max_bytes: int
    """Size of one body."""
    max_total_bytes: int
    """Size of all bodies that are arriving or not answered yet."""
    seconds: float = BODY_SECONDS
    """Time for a body to arrive."""
    _buffered_bytes: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = (
            _declared_bytes(Headers(scope=scope), self.max_bytes) if scope["type"] == "http" else 0
        )
        if not size:
            await self.app(scope, receive, send)
            return
        with ExitStack() as reservation:
            try:
                self._require_fit(scope, size)
                reservation.enter_context(self._reserve(size))
                body = await self._read_body(receive)
            except ProblemError as problem:
                await problem_response(problem, scope["path"])(scope, receive, send)
                return

            async def releasing_send(message: Message) -> None:
                reservation.close()  # a long response must not keep its request's body reserved
                await send(message)

            if body is not None:
                await self.app(scope, _replay(body, receive), releasing_send)

    def _require_fit(self, scope: Scope, size: int) -> None:
        if size > self.max_bytes:
            raise problems.too_large(self.max_bytes)
        formats = _formats(scope["method"], scope["path"])
        content_type = (
            Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        )
        if formats and content_type not in formats:
            raise problems.unsupported(content_type, scope["method"], formats)

    @contextmanager
    def _reserve(self, size: int) -> Iterator[None]:
        if self._buffered_bytes and self._buffered_bytes + size > self.max_total_bytes:
            raise problems.no_room()
        self._buffered_bytes += size
        try:
            yield
        finally:
            self._buffered_bytes -= size

    async def _read_body(self, receive: Receive) -> bytes | None:
        """Return the body, or None when the caller disconnected before its end."""
        body = bytearray()
        try:
            async with asyncio.timeout(self.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > self.max_bytes:
                        raise problems.too_large(self.max_bytes)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise problems.too_slow(self.seconds) from None


def _formats(method: str, path: str) -> tuple[str, ...]:
    """Return the formats of a request's body; only pages outside the API send forms."""
    formats = FORMATS.get(method, ())
    is_page = method == "POST" and not path.startswith(_API)
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
