"""Compressed responses, where they are large and hold no secret.

A secret beside text of an attacker's choice could be guessed by the size (https://breachattack.com/).
"""

from typing import Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_PATHS: Final = frozenset({"/api/v1/workspaces", "/openapi.json"})
_MIN_BYTES: Final = 1024
_LEVEL: Final = 1  # JSON gets little smaller with more, and takes much longer


class CompressionMiddleware:
    """ASGI middleware: compresses lists of workspaces and the OpenAPI document."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._compressed = GZipMiddleware(app, _MIN_BYTES, _LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_large = scope["type"] == "http" and scope["path"] in _PATHS and scope["method"] == "GET"
        await (self._compressed if is_large else self._plain)(scope, receive, send)
