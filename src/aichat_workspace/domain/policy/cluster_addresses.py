"""The cluster's own addresses: of nodes, pods and the API server, which no workspace may reach, and
of DNS, which every workspace may ask.

Most are in a range that `spec.network.egressExcept` has already. Public ones are excepted one by
one: a firewall in front of a node does not see what the node's own pods send it.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import (
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from typing import Any, Final

from aichat_workspace.domain.v1alpha1.network_settings import IPV6_EXCEPTED, IpFamily
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec

IpNetwork = IPv4Network | IPv6Network
_INTERNAL: Final = "InternalIP"


def of_node(node: Mapping[str, Any]) -> frozenset[str]:
    """Return a node's own addresses and its pods' ranges."""
    addresses = _parsed(entry.get("address", "") for entry in _entries(node))
    return frozenset((*addresses, *(node.get("spec", {}).get("podCIDRs") or ())))


def of_endpoints(endpoint_slice: Mapping[str, Any]) -> frozenset[str]:
    """Return the addresses that a Service's EndpointSlice has."""
    endpoints = endpoint_slice.get("endpoints") or ()
    return frozenset(
        _parsed(address for endpoint in endpoints for address in endpoint.get("addresses") or ())
    )


def first_family(nodes: Iterable[Mapping[str, Any]]) -> IpFamily:
    """Return the family of pods' first address: IPv6 where it is every node's first."""
    firsts = {
        next((entry["address"] for entry in _entries(node) if entry.get("type") == _INTERNAL), "")
        for node in nodes
    }
    is_ipv6 = bool(firsts) and all(":" in address for address in firsts)
    return IpFamily.IPV6 if is_ipv6 else IpFamily.IPV4


def resolvers(resolv_conf: str) -> tuple[str, ...]:
    """Return the ranges of the servers that a resolv.conf names, but for the machine's own.

    https://man7.org/linux/man-pages/man5/resolv.conf.5.html
    """
    lines = (line.split() for line in resolv_conf.splitlines())
    servers = _parsed(line[1] for line in lines if len(line) > 1 and line[0] == "nameserver")
    return tuple(
        str(ip_network(server)) for server in servers if not ip_address(server).is_loopback
    )


def with_cluster(
    platform: PlatformSpec, nodes: Iterable[Mapping[str, Any]], dns_servers: Iterable[str]
) -> PlatformSpec:
    """Return the settings with what they leave to the cluster: DNS' addresses, and the family."""
    network = platform.network
    addresses = tuple(dict.fromkeys((*network.dns.addresses, *dns_servers)))
    update = {
        "dns": network.dns.model_copy(update={"addresses": addresses}),
        "ip_family": network.ip_family or first_family(nodes),
    }
    return platform.model_copy(update={"network": network.model_copy(update=update)})


def without(platform: PlatformSpec, addresses: Iterable[str]) -> PlatformSpec:
    """Return the settings with these addresses and ranges excepted, unless a range already excepts
    them."""
    excepted = excepted_networks(platform.network.egress_except)
    public = [
        network
        for network in map(ip_network, addresses)
        if not any(_is_within(network, other) for other in excepted)
    ]
    if not public:
        return platform
    # With IPv6's defaults, which a list with a node's address would not have by itself.
    ranges = tuple(map(str, (*excepted, *_collapsed(public))))
    update = {"network": platform.network.model_copy(update={"egress_except": ranges})}
    return platform.model_copy(update=update)


def excepted_networks(cidrs: Iterable[str]) -> tuple[IpNetwork, ...]:
    """Return the ranges of `spec.network.egressExcept`.

    A list without a range of IPv6 has IPv6's defaults besides.
    """
    listed = tuple(ip_network(cidr, strict=False) for cidr in cidrs)
    if any(isinstance(cidr, IPv6Network) for cidr in listed):
        return listed
    return (*listed, *map(IPv6Network, IPV6_EXCEPTED))


def _collapsed(networks: Iterable[IpNetwork]) -> Iterator[IpNetwork]:
    """Merge neighbours, IPv4 first."""
    networks = list(networks)
    yield from collapse_addresses(cidr for cidr in networks if isinstance(cidr, IPv4Network))
    yield from collapse_addresses(cidr for cidr in networks if isinstance(cidr, IPv6Network))


def _is_within(network: IpNetwork, other: IpNetwork) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return isinstance(other, IPv6Network) and network.subnet_of(other)


def _entries(node: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return node.get("status", {}).get("addresses") or ()


def _parsed(addresses: Iterable[str]) -> Iterator[str]:
    """Leave out host names, and IPv6 addresses that mean something on one link only."""
    for text in addresses:
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if not (isinstance(address, IPv6Address) and address.scope_id):
            yield str(address)
