"""No body larger, slower or of another format than is good for us, however it comes."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api.web import problems
from aichat_workspace.api.web.error_handlers import answer
from aichat_workspace.api.web.problems import ProblemError

BODY_SECONDS: Final = 10.0
JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
FORMATS: Final = {"POST": (JSON,), "PUT": (JSON,), "PATCH": (MERGE_PATCH, JSON)}


@dataclass(slots=True)
class BodyLimitMiddleware:
    """ASGI middleware: reads a body to its end before the application sees anything of the request,
    for the framework reads it before it asks who calls. One that says or turns out to be too large
    is 413, one that does not arrive in time 408, one of another format 415, and one for which there
    is no room beside the others 503. Requests without a body, as probes are, are never refused."""

    app: ASGIApp
    most_bytes: int
    all_bytes: int
    seconds: float = BODY_SECONDS
    _held_bytes: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = _said_bytes(Headers(scope=scope), self.most_bytes) if scope["type"] == "http" else 0
        if not size:
            await self.app(scope, receive, send)
            return
        with ExitStack() as room:
            try:
                self._require_fit(scope, size)
                room.enter_context(self._room(size))
                body = await self._whole(receive)
            except ProblemError as problem:
                await answer(problem, scope["path"])(scope, receive, send)
                return

            async def answered(message: Message) -> None:
                room.close()  # what is streamed from here on holds no body back
                await send(message)

            if body is not None:
                await self.app(scope, _again(body, receive), answered)

    def _require_fit(self, scope: Scope, size: int) -> None:
        if size > self.most_bytes:
            raise problems.too_large(self.most_bytes)
        formats = FORMATS.get(scope["method"], ())
        said = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        if formats and said not in formats:
            raise problems.unsupported(said, scope["method"], formats)

    @contextmanager
    def _room(self, size: int) -> Iterator[None]:
        if self._held_bytes and self._held_bytes + size > self.all_bytes:
            raise problems.no_room()
        self._held_bytes += size
        try:
            yield
        finally:
            self._held_bytes -= size

    async def _whole(self, receive: Receive) -> bytes | None:
        """None when the caller went before the end."""
        read = bytearray()
        try:
            async with asyncio.timeout(self.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    read += message.get("body", b"")
                    if len(read) > self.most_bytes:
                        raise problems.too_large(self.most_bytes)
                    if not message.get("more_body", False):
                        return bytes(read)
        except TimeoutError:
            raise problems.too_slow(self.seconds) from None


def _said_bytes(headers: Headers, most_bytes: int) -> int:
    """How large the body is, by what its head says; one that does not say may be the largest."""
    if "transfer-encoding" in headers:
        return most_bytes
    said = headers.get("content-length", "0")
    return int(said) if said.isdecimal() else 0


def _again(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, then whatever else comes of the connection."""
    pieces: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pieces.pop() if pieces else await receive()

    return next_message
