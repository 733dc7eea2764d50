"""The addresses of the API server and the nodes, which no workspace may reach.

Most are in a range that `spec.network.egressExcept` has already. Public ones are excepted one by
one: a firewall in front of a node does not see what the node's own pods send it.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, collapse_addresses
from typing import Any

from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec


def of_node(node: Mapping[str, Any]) -> frozenset[str]:
    """Return a node's own IPv4 addresses."""
    entries = node.get("status", {}).get("addresses") or ()
    return _ipv4(entry.get("address", "") for entry in entries)


def of_endpoints(endpoint_slice: Mapping[str, Any]) -> frozenset[str]:
    """Return the IPv4 addresses that a Service's EndpointSlice has."""
    endpoints = endpoint_slice.get("endpoints") or ()
    return _ipv4(address for endpoint in endpoints for address in endpoint.get("addresses") or ())


def without(platform: PlatformSpec, addresses: Iterable[str]) -> PlatformSpec:
    """Return the settings with these addresses excepted, unless a range already excepts them."""
    network = platform.network
    excepted = [IPv4Network(cidr, strict=False) for cidr in network.egress_except]
    public = [
        IPv4Network(address)
        for address in sorted(addresses)
        if not any(IPv4Address(address) in cidr for cidr in excepted)
    ]
    if not public:
        return platform
    ranges = (*network.egress_except, *map(str, collapse_addresses(public)))
    update = {"network": network.model_copy(update={"egress_except": ranges})}
    return platform.model_copy(update=update)


def _ipv4(addresses: Iterable[str]) -> frozenset[str]:
    return frozenset(_parsed(addresses))


def _parsed(addresses: Iterable[str]) -> Iterator[str]:
    """Leave out host names and IPv6."""
    for address in addresses:
        try:
            yield str(IPv4Address(address))
        except AddressValueError:
            continue
