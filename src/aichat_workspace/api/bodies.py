"""No body larger than is good for us, however it comes."""

from dataclasses import dataclass

from fastapi import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api import problems
from aichat_workspace.api.errors import answer


@dataclass(frozen=True, slots=True)
class BoundedBodies:
    """ASGI middleware: a body that says or turns out to be too large is 413."""

    app: ASGIApp
    most_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = Request(scope).headers.get("content-length", "0")
        if said.isdigit() and int(said) > self.most_bytes:
            await self._refuse(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most_bytes:
                # FastAPI makes a 400 of any other exception while it reads a body.
                raise HTTPException(413, self._detail)
            return message

        await self.app(scope, counted, send)

    @property
    def _detail(self) -> str:
        return f"The body is larger than {self.most_bytes} bytes; a workspace needs far less."

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(problems.too_large(self._detail), scope["path"])(scope, receive, send)
