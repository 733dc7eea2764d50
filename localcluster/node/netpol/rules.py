"""Translate NetworkPolicies to one nftables ruleset.

Semantics: https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
and https://kubernetes.io/docs/concepts/services-networking/network-policies/. Where those leave a
choice: an ipBlock is compared with the address after a service's translation and also matches pods;
pods on the host's network are neither selected nor peers; connections that exist keep working.

Where packets pass (https://wiki.nftables.org/wiki-nftables/index.php/Netfilter_hooks): pod to pod
on one bridge meets the inet forward hook because br_netfilter hands bridged packets to it; services
are translated before, in prerouting; pods reach the node through the input hook. What the node
itself sends leaves through the output hook, which has no rules: kubelet's probes always pass.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, ip_network
from typing import Any, Final

from localcluster.node.netpol.state import Pod, Policy, State

TABLE: Final = "localcluster_netpol"
REMOVAL: Final = f"table inet {TABLE}\ndelete table inet {TABLE}\n"

_Json = Mapping[str, Any]


@dataclass(frozen=True)
class Ports:
    """Ports of one protocol."""

    protocol: str
    first: int = 0
    last: int = 65535
    """The last one, which is included."""

    def is_within(self, other: "Ports | None") -> bool:
        return other is None or (
            self.protocol == other.protocol and other.first <= self.first <= self.last <= other.last
        )


@dataclass(frozen=True)
class Block:
    """The addresses of some networks without those of others."""

    networks: tuple[IPv4Network, ...]
    excluded: tuple[IPv4Network, ...] = ()

    def __contains__(self, address: str) -> bool:
        parsed = IPv4Address(address)
        return any(parsed in network for network in self.networks) and not any(
            parsed in network for network in self.excluded
        )


EVERYWHERE: Final = Block((IPv4Network("0.0.0.0/0"),))


@dataclass(frozen=True)
class AllowRule:
    """Connections that a policy allows."""

    peers: Block
    """The other side's addresses."""
    ports: Ports | None
    """The destination's ports; None is any port of any protocol."""


@dataclass(frozen=True)
class PolicyChain:
    """The allowed connections of one pod in one direction."""

    direction: str
    """`egress` or `ingress`."""
    pod: Pod
    """The pod, which at least one policy selects."""
    allow_rules: tuple[AllowRule, ...]
    """What is allowed; everything else is dropped."""


def ruleset(state: State, bridge: str) -> str:
    """Return the input of `nft -f -`, which replaces the whole table in one transaction.

    IPv6 is dropped: pods have only link-local addresses of it, which no policy can name.
    """
    chains = policy_chains(state)
    egress = [chain for chain in chains if chain.direction == "egress"]
    ingress = [chain for chain in chains if chain.direction == "ingress"]
    start = (
        "ct state established,related accept",
        f'iifname "{bridge}" meta nfproto ipv6 drop',
        *_dispatch("saddr", egress),
    )
    texts = (
        *(_chain_text(_chain_name(chain), _chain_lines(chain)) for chain in chains),
        _chain_text("forward", (_hook("forward"), *start, *_dispatch("daddr", ingress))),
        _chain_text("input", (_hook("input"), *start)),
    )
    return f"{REMOVAL}table inet {TABLE} {{\n{''.join(texts)}}}\n"


def policy_chains(state: State) -> tuple[PolicyChain, ...]:
    """Return a chain for each pod and direction that at least one policy isolates."""
    return tuple(
        chain
        for direction in ("egress", "ingress")
        for pod in _network_pods(state)
        if (chain := _policy_chain(direction, pod, state)) is not None
    )


def _policy_chain(direction: str, pod: Pod, state: State) -> PolicyChain | None:
    policies = [
        policy
        for policy in state.policies
        if policy.namespace == pod.namespace
        and direction in _directions(policy.spec)
        and _matches(policy.spec.get("podSelector"), pod.labels)
    ]
    if not policies:
        return None
    itself = AllowRule(_addresses([pod]), None)  # a pod cannot block access to itself
    allowed = (
        allow_rule
        for policy in policies
        for rule in policy.spec.get(direction) or ()
        for allow_rule in _allow_rules(direction, policy, rule, pod, state)
    )
    return PolicyChain(direction, pod, tuple(dict.fromkeys((itself, *allowed))))


def _directions(spec: _Json) -> set[str]:
    """Return a policy's directions; without policyTypes, egress is one if it has rules."""
    implied = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return {policy_type.lower() for policy_type in spec.get("policyTypes") or implied}


def _allow_rules(
    direction: str, policy: Policy, rule: _Json, pod: Pod, state: State
) -> Iterator[AllowRule]:
    side = "to" if direction == "egress" else "from"
    for peer in rule.get(side) or (None,):
        for port in rule.get("ports") or (None,):
            if direction == "ingress":
                yield from _ingress_rules(peer, port, policy, pod, state)
            else:
                yield from _egress_rules(peer, port, policy, state)


def _ingress_rules(
    peer: _Json | None, port: _Json | None, policy: Policy, pod: Pod, state: State
) -> Iterator[AllowRule]:
    block = _peer_block(peer, policy, state)
    for ports in _matching_ports(port, pod) if _is_named(port) else (_port_range(port),):
        if block.networks:
            yield AllowRule(block, ports)


def _egress_rules(
    peer: _Json | None, port: _Json | None, policy: Policy, state: State
) -> Iterator[AllowRule]:
    """Resolve a port's name per destination, and aliases at their own ports only."""
    block = _peer_block(peer, policy, state)
    if _is_named(port):
        for pod in _network_pods(state):
            if pod.address in block:
                for ports in _matching_ports(port, pod):
                    yield AllowRule(_addresses([pod]), ports)
    elif block.networks:
        yield AllowRule(block, _port_range(port))
    for alias in state.aliases:
        if _is_peer(peer, alias, policy, state):
            for ports in _matching_ports(port, alias):
                yield AllowRule(_addresses([alias]), ports)


def _peer_block(peer: _Json | None, policy: Policy, state: State) -> Block:
    if peer is None:
        return EVERYWHERE
    if "ipBlock" in peer:
        return _ip_block(peer["ipBlock"])
    return _addresses(pod for pod in _network_pods(state) if _is_peer(peer, pod, policy, state))


def _ip_block(block: _Json) -> Block:
    return Block(_networks([block["cidr"]]), _networks(block.get("except") or ()))


def _networks(texts: Iterable[str]) -> tuple[IPv4Network, ...]:
    """Merge overlapping networks, as an nftables set needs it; this cluster has no IPv6."""
    networks = (ip_network(text, strict=False) for text in texts)
    return tuple(
        collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    )


def _addresses(pods: Iterable[Pod]) -> Block:
    return Block(_networks(pod.address for pod in pods))


def _is_peer(peer: _Json | None, pod: Pod, policy: Policy, state: State) -> bool:
    if peer is None:
        return True
    if "ipBlock" in peer:
        return pod.address in _ip_block(peer["ipBlock"])
    namespace_selector = peer.get("namespaceSelector")
    if namespace_selector is None:
        is_in_namespace = pod.namespace == policy.namespace
    else:
        is_in_namespace = _matches(namespace_selector, state.namespaces.get(pod.namespace, {}))
    return is_in_namespace and _matches(peer.get("podSelector"), pod.labels)


def _matches(selector: _Json | None, labels: Mapping[str, str]) -> bool:
    """Return whether a selector selects these labels; an absent or empty one selects all."""
    selector = selector or {}
    required = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in required.items()) and all(
        _matches_expression(expression, labels)
        for expression in selector.get("matchExpressions") or ()
    )


def _matches_expression(expression: _Json, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    results = {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }
    return results[expression["operator"]]


def _is_named(port: _Json | None) -> bool:
    return port is not None and isinstance(port.get("port"), str)


def _port_range(port: _Json | None) -> Ports | None:
    if port is None:
        return None
    protocol, first = port.get("protocol") or "TCP", port.get("port")
    return (
        Ports(protocol) if first is None else Ports(protocol, first, port.get("endPort") or first)
    )


def _matching_ports(port: _Json | None, pod: Pod) -> Iterator[Ports]:
    """Yield the pod's named ports that the policy's port allows, by name or by number."""
    for named_port in pod.ports:
        ports = Ports(named_port.protocol, named_port.number, named_port.number)
        if port is not None and _is_named(port):
            name = (port["port"], port.get("protocol") or "TCP")
            is_allowed = name == (named_port.name, named_port.protocol)
        else:
            is_allowed = ports.is_within(_port_range(port))
        if is_allowed:
            yield ports


def _network_pods(state: State) -> list[Pod]:
    return [pod for pod in state.pods if pod.address and not pod.host_network]


def _chain_name(chain: PolicyChain) -> str:
    return f"{chain.direction}_{chain.pod.address}"


def _chain_text(name: str, lines: Iterable[str]) -> str:
    return "".join((f"  chain {name} {{\n", *(f"    {line}\n" for line in lines), "  }\n"))


def _hook(name: str) -> str:
    return f"type filter hook {name} priority filter; policy accept;"


def _dispatch(side: str, chains: list[PolicyChain]) -> tuple[str, ...]:
    targets = ", ".join(f"{chain.pod.address} : jump {_chain_name(chain)}" for chain in chains)
    return (f"ip {side} vmap {{ {targets} }}",) if chains else ()


def _chain_lines(chain: PolicyChain) -> Iterator[str]:
    """Yield lines that return allowed packets to the hook's chain, for the other direction."""
    yield f"# {chain.pod.namespace}/{chain.pod.name}"
    side = "daddr" if chain.direction == "egress" else "saddr"
    for rule in chain.allow_rules:
        yield " ".join((*_block_matches(side, rule.peers), *_port_matches(rule.ports), "return"))
    yield "drop"


def _block_matches(side: str, block: Block) -> Iterator[str]:
    if block.networks != EVERYWHERE.networks:
        yield f"ip {side} {_set_literal(block.networks)}"
    if block.excluded:
        yield f"ip {side} != {_set_literal(block.excluded)}"


def _port_matches(ports: Ports | None) -> Iterator[str]:
    if ports is None:
        return
    protocol = ports.protocol.lower()
    if (ports.first, ports.last) == (0, 65535):
        yield f"meta l4proto {protocol}"
    elif ports.first == ports.last:
        yield f"{protocol} dport {ports.first}"
    else:
        yield f"{protocol} dport {ports.first}-{ports.last}"


def _set_literal(networks: Iterable[IPv4Network]) -> str:
    return f"{{ {', '.join(str(network) for network in networks)} }}"
