"""Bounds of connections: how many there are, and what their requests' heads hold."""

import asyncio
import socket
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, Self

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from aichat_workspace.api.pacing import Pacer
from aichat_workspace.api.settings import Bounds, Networks
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.client_address import network_limits, resolve_address
from aichat_workspace.api.web.error_handlers import problem_response
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.web.shares import Shares
from aichat_workspace.api.web.slow_clients import SlowClientProtocol

MAX_HEAD_BYTES: Final = 32 * 1024  # a token of 16 KiB, a cookie of 4, and the rest
HEAD_SECONDS: Final = 10.0
MAX_PIPELINED: Final = 4
# The system doubles it. One read, which nothing has counted yet, is no larger.
_RECEIVE_BYTES: Final = 32 * 1024
_HEADS_PER_ADDRESS: Final = 64
_HEADS: Final = 512
_PROXY_SHARE: Final = 0.75
_STRANGERS_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """What is open now."""

    connections: Shares
    """Connections."""
    heads: Shares
    """Bytes of heads whose end has not arrived."""

    @classmethod
    def create(cls, connections: int) -> Self:
        """Create a pool with nothing open."""
        return cls(Shares(connections), Shares(_HEADS * MAX_HEAD_BYTES))


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on what the clients of one address, and of the networks around it, hold open.

    A network that encloses addresses has twice the share of what it encloses. A proxy has most of
    all connections, since its clients share it. Strangers have a pool of their own, so they keep
    out neither known addresses nor proxies and probes.
    """

    per_address: int
    """Connections of one address."""
    trusted: ConnectionPool
    """Of proxies and known addresses."""
    strangers: ConnectionPool
    known: Container[str]
    """Addresses from which a token was accepted."""
    proxies: Networks = ()
    """The proxies whose X-Forwarded-For is trusted."""
    pacer: Pacer = field(default_factory=Pacer)
    """Starts requests."""

    @classmethod
    def create(cls, bounds: Bounds, known: Container[str], proxies: Networks) -> Self:
        """Create the limits of the settings, with nothing open."""
        return cls(
            bounds.connections_per_address,
            ConnectionPool.create(bounds.connections),
            ConnectionPool.create(int(bounds.connections * _STRANGERS_SHARE)),
            known,
            proxies,
        )

    def pool(self, peer: str) -> ConnectionPool:
        """Return the pool that a peer's connections are in."""
        is_known = resolve_address(peer, (), ()) in self.known
        return self.trusted if is_known or self._is_proxy(peer) else self.strangers

    def connection_limits(self, peer: str) -> dict[str, int]:
        """Return how many connections each network of a peer may have."""
        if self._is_proxy(peer):
            return {peer: int(self.trusted.connections.overall * _PROXY_SHARE)}
        return network_limits(peer, self.per_address)

    def head_limits(self, peer: str) -> dict[str, int]:
        """Return how many bytes of unfinished heads each network of a peer may have.

        A proxy sends a head only when it has all of it, so it needs no more.
        """
        return network_limits(peer, _HEADS_PER_ADDRESS * MAX_HEAD_BYTES)

    def _is_proxy(self, peer: str) -> bool:
        try:
            address: Any = ip_address(peer)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.proxies)


class BoundedProtocol(SlowClientProtocol):
    """A connection that is refused beyond its address's share, and whose heads are bounded.

    A head that is too large gets 431, and one that does not arrive in time 408. A body is not read
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
        self._start_head_timer()

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
            return
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
        if self._head_timer is None:
            self._start_head_timer()
        if self._head_bytes + size > MAX_HEAD_BYTES:
            self._refuse(problems.head_too_large(MAX_HEAD_BYTES))
        elif self._pool.heads.exceeded(self._head_limits, size) is not None:
            self._refuse(problems.no_room())
        else:
            self._head_bytes += size
            self._pool.heads.hold(self._head_limits, size)

    def _start_head_timer(self) -> None:
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
