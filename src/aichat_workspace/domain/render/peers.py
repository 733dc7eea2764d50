"""Render who may reach a workspace and what it may reach, as peers and rules of policies.

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from aichat_workspace.domain.policy.cluster_addresses import IpNetwork, excepted_networks
from aichat_workspace.domain.v1alpha1.network_settings import Dns, Ingress
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec

_DNS: Final = 53
# Clusters with IPv6 alone reach IPv4 through these addresses (RFC 6052), so what is excepted of
# IPv4 is excepted of them, too.
_NAT64: Final = IPv6Network("64:ff9b::/96")
Peer = Mapping[str, Any]
Rule = dict[str, Any]


def namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def pods(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": dict(labels)}}


def blocks(cidrs: Iterable[str]) -> list[dict[str, Any]]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in ranges(cidrs)]


def pods_of(namespaces: Iterable[str], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return peers for the namespaces' pods with these labels; for all of their pods without."""
    selected = pods(labels) if labels else {}
    return [{**namespace(name), **selected} for name in dict.fromkeys(namespaces)]


def rule(
    side: str, peers: Sequence[Peer], *ports: int, protocols: Sequence[str] = ("TCP",)
) -> Rule:
    """Return a rule for these peers and ports. No peers at all would be everybody, so a caller
    leaves such a rule out."""
    entries = [{"port": port, "protocol": protocol} for port in ports for protocol in protocols]
    return {side: list(peers), "ports": entries}


def clients(ingress: Ingress) -> list[dict[str, Any]]:
    """Return the peers that may reach chats: ingress controllers and load balancers."""
    namespaces, labels = ingress.controller_namespaces, ingress.controller_pod_labels
    gateway = ingress.gateway.namespace if ingress.gateway else None
    is_named = gateway in namespaces and not labels  # a Gateway's pods have labels of their own
    return [
        *pods_of(namespaces, labels),
        *([] if gateway is None or is_named else [namespace(gateway)]),
        *blocks(ingress.source_ranges),
    ]


def from_clients(ingress: Ingress, port: int) -> Rule:
    """Return the rule that lets people in. Without peers it lets in whatever has an address, also
    what policies have no words for (docs/decisions/0036)."""
    if ingress.any_source:
        return {"ports": rule("from", (), port)["ports"]}
    return rule("from", clients(ingress), port)


def dns(settings: Dns) -> list[Rule]:
    """Return the rules for asking DNS. Pods have the port after a Service's translation, and
    addresses that are no pod's the one that resolvers ask."""
    protocols = ("UDP", "TCP")
    by_pods = pods_of(settings.namespaces, settings.pod_labels)
    by_address = blocks(settings.addresses)
    return [
        *([rule("to", by_pods, *settings.ports, protocols=protocols)] if by_pods else ()),
        *([rule("to", by_address, _DNS, protocols=protocols)] if by_address else ()),
    ]


def outside(platform: PlatformSpec, *ports: int) -> list[Rule]:
    """Return the rules for reaching what is outside of the cluster.

    With a proxy, only it, and directly no more than the ranges that are allowed one by one.
    """
    direct = blocks(platform.network.egress_allow)
    proxy = platform.proxy
    if proxy is None:
        return [rule("to", [*_everything_but(platform.network.egress_except), *direct], *ports)]
    peers = [*pods_of(proxy.namespaces, proxy.pod_labels), *blocks(proxy.ranges)]
    return [
        rule("to", peers, proxy.port),
        *([rule("to", direct, *ports)] if direct else ()),
    ]


def ranges(cidrs: Iterable[str]) -> list[str]:
    """Return each range once, by its first address: 10.1.2.3/8 is 10.0.0.0/8."""
    return list(dict.fromkeys(str(ip_network(cidr, strict=False)) for cidr in cidrs))


@lru_cache(maxsize=2)  # the same for every workspace
def _everything_but(cidrs: tuple[str, ...]) -> tuple[Peer, ...]:
    excepted = excepted_networks(cidrs)
    ipv4 = [cidr for cidr in excepted if isinstance(cidr, IPv4Network)]
    ipv6 = [cidr for cidr in excepted if isinstance(cidr, IPv6Network)]
    return (
        _without("0.0.0.0/0", ipv4),
        _without("::/0", [*ipv6, *map(_through_nat64, ipv4)]),
    )


def _without(cidr: str, excepted: Sequence[IpNetwork]) -> dict[str, Any]:
    texts = list(dict.fromkeys(map(str, excepted)))
    return {"ipBlock": {"cidr": cidr, **({"except": texts} if texts else {})}}


def _through_nat64(cidr: IPv4Network) -> IPv6Network:
    first = int(_NAT64.network_address) + int(cidr.network_address)
    return IPv6Network((first, _NAT64.prefixlen + cidr.prefixlen))
