"""No body larger than is good for us, however it comes."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api.errors import answer
from aichat_workspace.api.problems import Problem


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
        started = False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most_bytes:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLargeError:
            if started:
                raise
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The body is larger than {self.most_bytes} bytes; a workspace needs far less."
        problem = Problem(413, "too-large", detail, headers={"Connection": "close"})
        await answer(problem, scope["path"])(scope, receive, send)


class _TooLargeError(Exception):
    pass
