"""The address that a request comes from."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.requests import HTTPConnection

from aichat_workspace.api.settings import Networks

_OWN_BITS: Final = 64  # of an IPv6 address; its owner can choose the rest freely
# One customer has a /56 or a /48 of IPv6 (RFC 6177), and may have a /24 of IPv4.
_WIDER_BITS: Final = {4: (24,), 6: (56, 48)}


def client_address(connection: HTTPConnection, proxies: Networks) -> str:
    """Return the address that a request comes from, or its /64 network for IPv6."""
    peer = connection.client.host if connection.client else ""
    return resolve_address(peer, connection.headers.getlist("X-Forwarded-For"), proxies)


def resolve_address(peer: str, forwarded: Sequence[str], proxies: Networks) -> str:
    """Return the client's address, or its /64 network for IPv6.

    `peer` opened the connection; `forwarded` are the request's X-Forwarded-For headers. Clients can
    forge those, so only a trusted proxy's are read, and of them only the last address, which the
    proxy has seen itself. Behind several proxies that is another proxy, and its clients share it.
    """
    address = _parse(peer)
    if address is None:
        return peer
    if forwarded and is_trusted(peer, proxies):
        address = _parse(forwarded[-1].rpartition(",")[2]) or address
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), _OWN_BITS), strict=False))


def is_trusted(peer: str, proxies: Networks) -> bool:
    """Return whether a connection's other end is one of the proxies."""
    address = _parse(peer)
    return address is not None and any(address in network for network in proxies)


@lru_cache(maxsize=4096)
def enclosing_networks(address: str) -> tuple[str, ...]:
    """Return the address that `resolve_address` gave and the wider networks around it.

    A person who has many addresses has them in one of these. Any other text is returned alone.
    """
    try:
        network = ip_network(address)
    except ValueError:
        return (address,)
    wider = _WIDER_BITS[network.version]
    return (address, *(str(network.supernet(new_prefix=bits)) for bits in wider))


def network_limits(peer: str, limit: int) -> dict[str, int]:
    """Return the limit of a peer's address, and twice as much for each wider network around it."""
    networks = enclosing_networks(resolve_address(peer, (), ()))
    return {network: limit << position for position, network in enumerate(networks)}


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, without the port that some proxies write. Return None for none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address if isinstance(address, IPv4Address) else address.ipv4_mapped or address
