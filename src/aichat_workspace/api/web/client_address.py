"""Where a request comes from, as far as the network tells."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from aichat_workspace.api.settings import Networks

_OWN_BITS: Final = 64  # of an IPv6 address: with the rest of it its owner does as he likes


def address_of(peer: str, forwarded: Sequence[str], proxies: Networks) -> str:
    """The client's address, or its /64 network.

    `peer` has opened the connection, `forwarded` are its X-Forwarded-For headers. Anybody can write
    those, so only a trusted proxy's are read, and of them only the last address: the one that the
    proxy has seen itself. Behind more proxies than one it is another proxy's, and theirs together.
    """
    seen = _parse(peer)
    if seen is None:
        return peer
    if forwarded and any(seen in each for each in proxies):
        seen = _parse(forwarded[-1].rpartition(",")[2]) or seen
    if isinstance(seen, IPv4Address):
        return str(seen)
    return str(IPv6Network((int(seen), _OWN_BITS), strict=False))


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Without the port that some proxies write."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found if isinstance(found, IPv4Address) else found.ipv4_mapped or found
