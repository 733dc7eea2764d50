"""Whether policies let a connection be opened: the specification read a second time, for one
connection at a time, so that tests can hold `rules` and real packets against it.

https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
Shares nothing with `rules` but the data.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcluster.node.netpol.state import NamedPort, Pod, Policy, State


@dataclass(frozen=True)
class _Connection:
    port: int
    protocol: str
    target: Pod | None  # the destination: port names are its own
    state: State


def allowed(source: str, destination: str, port: int, protocol: str, state: State) -> bool:
    """Both sides must agree: the source's egress policies and the destination's ingress policies.

    Addresses are those after a service's translation. A pod always reaches itself, and the node
    always reaches every pod.
    """
    if source == destination or source in state.nodes:
        return True
    sender, receiver = _pod_at(source, state), _pod_at(destination, state)
    target = receiver or _alias_at(destination, port, protocol, state)
    connection = _Connection(port, protocol, target, state)
    return _agrees("Egress", sender, destination, target, connection) and _agrees(
        "Ingress", receiver, source, sender, connection
    )


def _agrees(
    kind: str, pod: Pod | None, other_address: str, other: Pod | None, connection: _Connection
) -> bool:
    """ "By default, a pod is non-isolated": without a policy of this kind, anything goes."""
    if pod is None:
        return True
    isolating = [p for p in connection.state.policies if _isolates(p, kind, pod)]
    if not isolating:
        return True
    for policy in isolating:
        for rule in policy.spec.get(kind.lower()) or []:
            peers = rule.get("to" if kind == "Egress" else "from") or []
            if _any_port(rule.get("ports") or [], connection) and _any_peer(
                peers, policy, other_address, other, connection.state
            ):
                return True
    return False


def _isolates(policy: Policy, kind: str, pod: Pod) -> bool:
    if policy.namespace != pod.namespace:
        return False
    types = policy.spec.get("policyTypes")
    if types:
        concerned = kind in types
    elif kind == "Ingress":
        concerned = True
    else:
        concerned = len(policy.spec.get("egress") or []) > 0
    return concerned and _fits(policy.spec["podSelector"], pod.labels)


def _any_port(ports: Sequence[Mapping[str, Any]], connection: _Connection) -> bool:
    """ "If this field is empty or missing, this rule matches all ports"."""
    return not ports or any(_is_port(port, connection) for port in ports)


def _is_port(port: Mapping[str, Any], connection: _Connection) -> bool:
    if port.get("protocol", "TCP") != connection.protocol:
        return False
    match port.get("port"):
        case None:
            return True
        case int(number):
            return number <= connection.port <= int(port.get("endPort", number))
        case name:
            declared = connection.target.ports if connection.target else ()
            return NamedPort(str(name), connection.port, connection.protocol) in declared


def _any_peer(
    peers: Sequence[Mapping[str, Any]], policy: Policy, address: str, pod: Pod | None, state: State
) -> bool:
    """ "If this field is empty or missing, this rule matches all"."""
    return not peers or any(_is_peer(peer, policy, address, pod, state) for peer in peers)


def _is_peer(
    peer: Mapping[str, Any], policy: Policy, address: str, pod: Pod | None, state: State
) -> bool:
    if block := peer.get("ipBlock"):
        return _inside(address, block["cidr"]) and not any(
            _inside(address, hole) for hole in block.get("except", [])
        )
    if pod is None:
        return False
    if "namespaceSelector" not in peer:
        return pod.namespace == policy.namespace and _fits(peer["podSelector"], pod.labels)
    return _fits(peer["namespaceSelector"], state.namespaces.get(pod.namespace, {})) and _fits(
        peer.get("podSelector", {}), pod.labels
    )


def _inside(address: str, cidr: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr, strict=False)


def _fits(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """All requirements are ANDed; an empty selector matches all objects."""
    for key, value in selector.get("matchLabels", {}).items():
        if key not in labels or labels[key] != value:
            return False
    return not any(
        _violates(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _violates(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    present = expression["key"] in labels
    listed = present and labels[expression["key"]] in expression.get("values", [])
    match expression["operator"]:
        case "In":
            return not listed
        case "NotIn":
            return listed
        case "Exists":
            return not present
        case "DoesNotExist":
            return present
        case unknown:
            raise ValueError(f"selector operator {unknown!r}: In, NotIn, Exists or DoesNotExist")


def _pod_at(address: str, state: State) -> Pod | None:
    """Pods on the host's network are the node, not pods."""
    return next((p for p in state.pods if p.address == address and not p.host_network), None)


def _alias_at(address: str, port: int, protocol: str, state: State) -> Pod | None:
    for alias in state.aliases:
        ports = {(each.number, each.protocol) for each in alias.ports}
        if alias.address == address and (port, protocol) in ports:
            return alias
    return None
