"""Connections whose requests' heads are bounded in size and time."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from aichat_workspace.api.web.limits.connection_limits import MAX_HEAD_BYTES, ConnectionLimits
from aichat_workspace.api.web.limits.slow_clients import SlowClientProtocol
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.error_handlers import problem_response
from aichat_workspace.api.web.responses.problems import ProblemError

HEAD_SECONDS: Final = 10.0
MAX_PIPELINED: Final = 4
# The system doubles it. One read, which nothing has counted yet, is no larger.
_RECEIVE_BYTES: Final = 32 * 1024


class _TooManyRequestsError(Exception):
    """Ends the parser's work."""


class BoundedProtocol(SlowClientProtocol):
    """A connection that is refused beyond its address's share, and whose heads are bounded.

    A head that is too large gets 431, and one that does not arrive in time 408. A connection
    without a request is closed as quickly; a proxy may keep one for later. A body is not read
    before the application asks for it.
    """

    def __init__(self, *args: Any, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._pool = limits.strangers
        self._connection_holders: tuple[str, ...] = ()
        self._head_limits: Mapping[str, int] = {}
        self._head_bytes = 0
        self._is_in_head = True
        self._active: RequestResponseCycle | None = None
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        self._pool = self._limits.pool(peer)
        allowed = self._limits.connection_limits(peer)
        if self._pool.connections.exceeded(allowed) is not None:
            transport.abort()
            return
        self._connection_holders = tuple(allowed)
        self._pool.connections.hold(self._connection_holders)
        self._head_limits = self._limits.head_limits(peer)
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES
        )
        seconds = self.timeout_keep_alive if self._limits.is_proxy(peer) else HEAD_SECONDS
        self._head_timer = self.loop.call_later(seconds, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        # The server tells it only to the last of several requests.
        for cycle in (self._active, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self._end_head()
        if self._connection_holders:
            self._pool.connections.release(self._connection_holders)
            self._connection_holders = ()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_idle = self._is_idle()
        super().data_received(data)
        if self._is_in_head or (was_idle and self._is_idle()):
            self._hold_head(len(data))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._end_head()
        if self.transport.is_closing():
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            self.transport.abort()
            raise _TooManyRequestsError  # the parser would go on with all that has arrived
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        application = self.app
        if size > MAX_HEAD_BYTES:
            self.app = _refuse_head
        try:
            super().on_headers_complete()
        finally:
            self.app = application
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers):
            self.flow.pause_reading()

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._active = cycle

        def start() -> None:
            if not cycle.disconnected:
                start_task(cycle, app)

        start_task = super()._start_asgi_task
        self._limits.pacer.add(start)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _hold_head(self, size: int) -> None:
        """Count bytes of a head whose end has not arrived."""
        if self.transport.is_closing():
            return
        if not self._head_bytes:
            self._start_head_timer()
        if self._head_bytes + size > MAX_HEAD_BYTES:
            self._refuse(problems.head_too_large(MAX_HEAD_BYTES))
        elif self._pool.heads.exceeded(self._head_limits, size) is not None:
            self._refuse(problems.no_room())
        else:
            self._head_bytes += size
            self._pool.heads.hold(self._head_limits, size)

    def _start_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer = self.loop.call_later(
            HEAD_SECONDS, self._refuse, problems.head_too_slow(HEAD_SECONDS)
        )

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self._head_bytes:
            self._pool.heads.release(self._head_limits, self._head_bytes)
            self._head_bytes = 0

    def _refuse(self, problem: ProblemError) -> None:
        """Answer a head that is not whole, unless another answer is under way, and close."""
        if not self._is_idle():
            self.transport.abort()
            return
        response = problem_response(problem, "")
        lines = [
            b"HTTP/1.1 %d " % problem.status,
            *(b"\r\n%s: %s" % pair for pair in response.raw_headers),
        ]
        self.transport.write(b"".join([*lines, b"\r\n\r\n", bytes(response.body)]))
        self.transport.close()


async def _refuse_head(scope: Scope, receive: Receive, send: Send) -> None:
    problem = problems.head_too_large(MAX_HEAD_BYTES)
    await problem_response(problem, scope["path"])(scope, receive, send)
