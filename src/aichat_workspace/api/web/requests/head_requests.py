"""HEAD for every GET (RFC 9110 9.3.2); the framework's routes take only the methods they name."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# They have no end, and without a body there is nothing to wait for.
_STREAMS: Final = re.compile(r":watch$|/logs/")


def has_head(path: str) -> bool:
    """Return whether the path takes HEAD where it takes GET."""
    return not _STREAMS.search(path)


@dataclass(frozen=True, slots=True)
class HeadMiddleware:
    """ASGI middleware: answers HEAD as GET, without the body."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        if not is_head or not has_head(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            is_body = message["type"] == "http.response.body"
            await send({**message, "body": b""} if is_body else message)

        await self.app({**scope, "method": "GET"}, receive, without_body)
