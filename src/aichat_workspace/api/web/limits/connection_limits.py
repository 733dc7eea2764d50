"""Limits on what the clients of an address hold open: connections, and heads that are not whole."""

from collections.abc import Container
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, Self

from aichat_workspace.api.pacing import Pacer
from aichat_workspace.api.settings import Bounds, Networks
from aichat_workspace.api.web.limits.shares import Shares
from aichat_workspace.api.web.requests.client_address import network_limits, resolve_address

MAX_HEAD_BYTES: Final = 32 * 1024  # a token of 16 KiB, a cookie of 4, and the rest
HEADS_PER_ADDRESS: Final = 64
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
        return self.trusted if is_known or self.is_proxy(peer) else self.strangers

    def connection_limits(self, peer: str) -> dict[str, int]:
        """Return how many connections each network of a peer may have."""
        if self.is_proxy(peer):
            return {peer: int(self.trusted.connections.overall * _PROXY_SHARE)}
        return network_limits(peer, self.per_address)

    def head_limits(self, peer: str) -> dict[str, int]:
        """Return how many bytes of unfinished heads each network of a peer may have.

        A proxy sends a head only when it has all of it, so it needs no more.
        """
        return network_limits(peer, HEADS_PER_ADDRESS * MAX_HEAD_BYTES)

    def is_proxy(self, peer: str) -> bool:
        """Return whether the peer is a trusted proxy."""
        try:
            address: Any = ip_address(peer)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.proxies)
