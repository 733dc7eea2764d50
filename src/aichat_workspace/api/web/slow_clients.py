"""Connections that do not wait for ever for whoever does not read."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

DEAF_SECONDS: Final = 60.0
# What may wait to be sent, in bytes, before the next piece has to; each of many may hold so much.
_WAITING_BYTES: Final = 32 * 1024


class Connection(HttpToolsProtocol):
    """Breaks off when what is to be sent has waited for a minute. Neither the framework nor the
    server ever gives up a reader, and to close a connection is to wait until all is sent."""

    _deaf: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(_WAITING_BYTES)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._deaf = self.loop.call_later(DEAF_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._hears()

    def connection_lost(self, exc: Exception | None) -> None:
        self._hears()
        super().connection_lost(exc)

    def _hears(self) -> None:
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None
