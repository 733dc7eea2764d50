"""Security headers of every response. https://owasp.org/www-project-secure-headers/"""

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Answers are data: a browser that takes one for a page runs and frames nothing of it.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    # A shared cache does not know whose cookie it is.
    "Cache-Control": "private, no-cache",
}
NO_STORE: Final = {"Cache-Control": "no-store"}
"""Of a response that no cache may keep, not even the browser's."""
_HTTPS_ONLY: Final = {"Strict-Transport-Security": "max-age=31536000"}


@dataclass(frozen=True, slots=True)
class SecurityHeadersMiddleware:
    """ASGI middleware: adds the headers, but for those that a response has already."""

    app: ASGIApp
    https: bool
    """Whether browsers use TLS; they are told to use nothing else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        added = {**_HEADERS, **(_HTTPS_ONLY if self.https else {})}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)
