"""NetworkPolicies as one nftables ruleset.

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
    """Ports of one protocol, both ends included."""

    protocol: str
    first: int = 0
    last: int = 65535

    def within(self, other: "Ports | None") -> bool:
        return other is None or (
            self.protocol == other.protocol and other.first <= self.first <= self.last <= other.last
        )


@dataclass(frozen=True)
class Block:
    """Addresses: some networks, less others."""

    networks: tuple[IPv4Network, ...]
    excluded: tuple[IPv4Network, ...] = ()

    def __contains__(self, address: str) -> bool:
        found = IPv4Address(address)
        return any(found in each for each in self.networks) and not any(
            found in each for each in self.excluded
        )


EVERYWHERE: Final = Block((IPv4Network("0.0.0.0/0"),))


@dataclass(frozen=True)
class AllowRule:
    """The other side's addresses and the destination's ports; None: any port of any protocol."""

    peers: Block
    ports: Ports | None


@dataclass(frozen=True)
class PolicyChain:
    """All that may leave or enter one pod that a policy selects."""

    direction: str
    pod: Pod
    allowances: tuple[AllowRule, ...]


def ruleset(state: State, bridge: str) -> str:
    """Text for `nft -f -`, which applies it as one transaction in place of the table before.

    Pods have no IPv6 addresses but link-local ones, which no policy speaks of: they are closed.
    """
    found = gates(state)
    leaving = [each for each in found if each.direction == "egress"]
    entering = [each for each in found if each.direction == "ingress"]
    start = (
        "ct state established,related accept",
        f'iifname "{bridge}" meta nfproto ipv6 drop',
        *_dispatch("saddr", leaving),
    )
    chains = (
        *(_chain(_name(each), _gate_lines(each)) for each in found),
        _chain("forward", (_hook("forward"), *start, *_dispatch("daddr", entering))),
        _chain("input", (_hook("input"), *start)),
    )
    return f"{REMOVAL}table inet {TABLE} {{\n{''.join(chains)}}}\n"


def gates(state: State) -> tuple[PolicyChain, ...]:
    """A gate for each pod and direction that at least one policy isolates."""
    return tuple(
        gate
        for direction in ("egress", "ingress")
        for pod in _network_pods(state)
        if (gate := _gate(direction, pod, state)) is not None
    )


def _gate(direction: str, pod: Pod, state: State) -> PolicyChain | None:
    policies = [
        each
        for each in state.policies
        if each.namespace == pod.namespace
        and direction in _directions(each.spec)
        and _selects(each.spec.get("podSelector"), pod.labels)
    ]
    if not policies:
        return None
    itself = AllowRule(_addresses([pod]), None)  # a pod cannot block access to itself
    allowed = (
        allowance
        for policy in policies
        for rule in policy.spec.get(direction) or ()
        for allowance in _allowances(direction, policy, rule, pod, state)
    )
    return PolicyChain(direction, pod, tuple(dict.fromkeys((itself, *allowed))))


def _directions(spec: _Json) -> set[str]:
    """Without policyTypes, ingress always and egress where it has rules."""
    implied = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return {each.lower() for each in spec.get("policyTypes") or implied}


def _allowances(
    direction: str, policy: Policy, rule: _Json, pod: Pod, state: State
) -> Iterator[AllowRule]:
    side = "to" if direction == "egress" else "from"
    for peer in rule.get(side) or (None,):
        for port in rule.get("ports") or (None,):
            if direction == "ingress":
                yield from _ingress(peer, port, policy, pod, state)
            else:
                yield from _egress(peer, port, policy, state)


def _ingress(
    peer: _Json | None, port: _Json | None, policy: Policy, pod: Pod, state: State
) -> Iterator[AllowRule]:
    block = _block(peer, policy, state)
    for ports in _declared(port, pod) if _is_named(port) else (_numbers(port),):
        if block.networks:
            yield AllowRule(block, ports)


def _egress(
    peer: _Json | None, port: _Json | None, policy: Policy, state: State
) -> Iterator[AllowRule]:
    """A name means another number at each destination; an alias is one only at its own ports."""
    block = _block(peer, policy, state)
    if _is_named(port):
        for pod in _network_pods(state):
            if pod.address in block:
                for ports in _declared(port, pod):
                    yield AllowRule(_addresses([pod]), ports)
    elif block.networks:
        yield AllowRule(block, _numbers(port))
    for alias in state.aliases:
        if _is_peer(peer, alias, policy, state):
            for ports in _declared(port, alias):
                yield AllowRule(_addresses([alias]), ports)


def _block(peer: _Json | None, policy: Policy, state: State) -> Block:
    if peer is None:
        return EVERYWHERE
    if "ipBlock" in peer:
        return _ip_block(peer["ipBlock"])
    return _addresses(each for each in _network_pods(state) if _is_peer(peer, each, policy, state))


def _ip_block(block: _Json) -> Block:
    return Block(_networks([block["cidr"]]), _networks(block.get("except") or ()))


def _networks(texts: Iterable[str]) -> tuple[IPv4Network, ...]:
    """Overlapping ones merged, as an nftables set needs them. IPv6 has no place in this cluster."""
    parsed = (ip_network(text, strict=False) for text in texts)
    return tuple(collapse_addresses(each for each in parsed if isinstance(each, IPv4Network)))


def _addresses(pods: Iterable[Pod]) -> Block:
    return Block(_networks(pod.address for pod in pods))


def _is_peer(peer: _Json | None, pod: Pod, policy: Policy, state: State) -> bool:
    if peer is None:
        return True
    if "ipBlock" in peer:
        return pod.address in _ip_block(peer["ipBlock"])
    spaces = peer.get("namespaceSelector")
    if spaces is None:
        in_namespace = pod.namespace == policy.namespace
    else:
        in_namespace = _selects(spaces, state.namespaces.get(pod.namespace, {}))
    return in_namespace and _selects(peer.get("podSelector"), pod.labels)


def _selects(selector: _Json | None, labels: Mapping[str, str]) -> bool:
    """An absent or empty selector selects everything."""
    wanted = selector or {}
    equal = wanted.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in equal.items()) and all(
        _holds(each, labels) for each in wanted.get("matchExpressions") or ()
    )


def _holds(expression: _Json, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    holds = {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }
    return holds[expression["operator"]]


def _is_named(port: _Json | None) -> bool:
    return port is not None and isinstance(port.get("port"), str)


def _numbers(port: _Json | None) -> Ports | None:
    if port is None:
        return None
    protocol, first = port.get("protocol") or "TCP", port.get("port")
    return (
        Ports(protocol) if first is None else Ports(protocol, first, port.get("endPort") or first)
    )


def _declared(port: _Json | None, pod: Pod) -> Iterator[Ports]:
    """The pod's named ports that the policy's port allows, by name or by number."""
    for each in pod.ports:
        ports = Ports(each.protocol, each.number, each.number)
        if port is not None and _is_named(port):
            wanted = (port["port"], port.get("protocol") or "TCP")
            matches = wanted == (each.name, each.protocol)
        else:
            matches = ports.within(_numbers(port))
        if matches:
            yield ports


def _network_pods(state: State) -> list[Pod]:
    return [each for each in state.pods if each.address and not each.host_network]


def _name(gate: PolicyChain) -> str:
    return f"{gate.direction}_{gate.pod.address}"


def _chain(name: str, lines: Iterable[str]) -> str:
    return "".join((f"  chain {name} {{\n", *(f"    {line}\n" for line in lines), "  }\n"))


def _hook(name: str) -> str:
    return f"type filter hook {name} priority filter; policy accept;"


def _dispatch(side: str, found: list[PolicyChain]) -> tuple[str, ...]:
    targets = ", ".join(f"{each.pod.address} : jump {_name(each)}" for each in found)
    return (f"ip {side} vmap {{ {targets} }}",) if found else ()


def _gate_lines(gate: PolicyChain) -> Iterator[str]:
    """Return to the hook's chain, which goes on to the other direction, or drop."""
    yield f"# {gate.pod.namespace}/{gate.pod.name}"
    for each in gate.allowances:
        side = "daddr" if gate.direction == "egress" else "saddr"
        yield " ".join((*_block_matches(side, each.peers), *_port_matches(each.ports), "return"))
    yield "drop"


def _block_matches(side: str, block: Block) -> Iterator[str]:
    if block.networks != EVERYWHERE.networks:
        yield f"ip {side} {_set(block.networks)}"
    if block.excluded:
        yield f"ip {side} != {_set(block.excluded)}"


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


def _set(networks: Iterable[IPv4Network]) -> str:
    return f"{{ {', '.join(str(each) for each in networks)} }}"
