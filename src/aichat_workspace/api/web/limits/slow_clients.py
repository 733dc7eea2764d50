"""Close connections whose client stopped reading."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

STALLED_SECONDS: Final = 60.0
# Bytes that may wait to be sent before the next piece has to; each connection may hold as many.
_WAITING_BYTES: Final = 32 * 1024


class SlowClientProtocol(HttpToolsProtocol):
    """A connection that is aborted after its client has read nothing for a minute.

    Neither the framework nor the server gives up a client. Closing the connection would wait until
    all is sent.
    """

    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(_WAITING_BYTES)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def _cancel_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
