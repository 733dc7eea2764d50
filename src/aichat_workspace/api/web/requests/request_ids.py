"""One id for each request: in every log line, every problem document and the response."""

import re
import secrets
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api.settings import Networks
from aichat_workspace.api.web.requests.client_address import is_trusted

HEADER: Final = "X-Request-ID"
_KEY: Final = "request_id"
# What proxies write: UUIDs, hex and base64.
_VALID: Final = re.compile(r"[A-Za-z0-9._=/+-]{8,64}", re.ASCII)


def request_id() -> str:
    """Return the id of the request that this code runs for; empty outside of one."""
    return str(structlog.contextvars.get_contextvars().get(_KEY, ""))


@dataclass(frozen=True, slots=True)
class RequestIdMiddleware:
    """ASGI middleware: takes a trusted proxy's id or makes one, and answers with it.

    Anyone else's is not taken: it could stand for another request in the log.
    """

    app: ASGIApp
    proxies: Networks
    """The proxies whose id is taken."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # A page's calls within the process are the page's request.
        new_id = request_id() or self._proxy_id(scope) or secrets.token_hex(16)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = new_id
            await send(message)

        with structlog.contextvars.bound_contextvars(**{_KEY: new_id}):
            await self.app(scope, receive, send_with_id)

    def _proxy_id(self, scope: Scope) -> str | None:
        peer = scope["client"][0] if scope.get("client") else ""
        sent = Headers(scope=scope).get(HEADER, "")
        return sent if is_trusted(peer, self.proxies) and _VALID.fullmatch(sent) else None
