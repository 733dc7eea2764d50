"""Cookies that are set while a request is authenticated, on whatever response it then gets."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEY: Final = "aichat.response_cookies"


@dataclass(frozen=True, slots=True)
class ResponseCookiesMiddleware:
    """ASGI middleware: adds the cookies of `response_cookies` to the response."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        collected = scope[_KEY] = Response()

        async def with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookies = [header for header in collected.raw_headers if header[0] == b"set-cookie"]
                message = {**message, "headers": [*message.get("headers", ()), *cookies]}
            await send(message)

        await self.app(scope, receive, with_cookies)


def without_cookies(scope: Scope) -> Scope:
    """Return the scope of a request whose cookies are sent to no one."""
    return {**scope, _KEY: Response()}


def response_cookies(request: Request) -> Response:
    """Return a response that collects cookies: those set on it are sent with the request's own."""
    collected: Response = request.scope[_KEY]
    return collected
