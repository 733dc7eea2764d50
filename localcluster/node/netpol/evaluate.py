"""Decide whether policies allow one connection.

This is a second reading of the specification, with which tests compare `rules` and real packets:
https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
It shares only the data with `rules`.
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
    target: Pod | None  # the destination, which defines the names of ports
    state: State


def is_allowed(source: str, destination: str, port: int, protocol: str, state: State) -> bool:
    """Check the source's egress policies and the destination's ingress policies: both must allow.

    Addresses are those after a service's translation. A pod always reaches itself, and the node
    always reaches every pod.
    """
    if source == destination or source in state.nodes:
        return True
    sender, receiver = _pod_at(source, state), _pod_at(destination, state)
    target = receiver or _alias_at(destination, port, protocol, state)
    connection = _Connection(port, protocol, target, state)
    return _is_allowed_by("Egress", sender, destination, target, connection) and _is_allowed_by(
        "Ingress", receiver, source, sender, connection
    )


def _is_allowed_by(
    kind: str, pod: Pod | None, other_address: str, other: Pod | None, connection: _Connection
) -> bool:
    """ "By default, a pod is non-isolated": without a policy of this kind, anything goes."""
    if pod is None:
        return True
    isolating = [policy for policy in connection.state.policies if _is_isolating(policy, kind, pod)]
    if not isolating:
        return True
    for policy in isolating:
        for rule in policy.spec.get(kind.lower()) or []:
            peers = rule.get("to" if kind == "Egress" else "from") or []
            if _has_port(rule.get("ports") or [], connection) and _has_peer(
                peers, policy, other_address, other, connection.state
            ):
                return True
    return False


def _is_isolating(policy: Policy, kind: str, pod: Pod) -> bool:
    if policy.namespace != pod.namespace:
        return False
    types = policy.spec.get("policyTypes")
    if types:
        has_type = kind in types
    elif kind == "Ingress":
        has_type = True
    else:
        has_type = len(policy.spec.get("egress") or []) > 0
    return has_type and _is_selected(policy.spec["podSelector"], pod.labels)


def _has_port(ports: Sequence[Mapping[str, Any]], connection: _Connection) -> bool:
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


def _has_peer(
    peers: Sequence[Mapping[str, Any]], policy: Policy, address: str, pod: Pod | None, state: State
) -> bool:
    """ "If this field is empty or missing, this rule matches all"."""
    return not peers or any(_is_peer(peer, policy, address, pod, state) for peer in peers)


def _is_peer(
    peer: Mapping[str, Any], policy: Policy, address: str, pod: Pod | None, state: State
) -> bool:
    if block := peer.get("ipBlock"):
        return _is_inside(address, block["cidr"]) and not any(
            _is_inside(address, excepted) for excepted in block.get("except", [])
        )
    if pod is None:
        return False
    if "namespaceSelector" not in peer:
        return pod.namespace == policy.namespace and _is_selected(peer["podSelector"], pod.labels)
    return _is_selected(
        peer["namespaceSelector"], state.namespaces.get(pod.namespace, {})
    ) and _is_selected(peer.get("podSelector", {}), pod.labels)


def _is_inside(address: str, cidr: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr, strict=False)


def _is_selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """All requirements are ANDed; an empty selector matches all objects."""
    for key, value in selector.get("matchLabels", {}).items():
        if key not in labels or labels[key] != value:
            return False
    return not any(
        _is_violated(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _is_violated(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    is_present = expression["key"] in labels
    is_listed = is_present and labels[expression["key"]] in expression.get("values", [])
    match expression["operator"]:
        case "In":
            return not is_listed
        case "NotIn":
            return is_listed
        case "Exists":
            return not is_present
        case "DoesNotExist":
            return is_present
        case unknown:
            raise ValueError(f"selector operator {unknown!r}: In, NotIn, Exists or DoesNotExist")


def _pod_at(address: str, state: State) -> Pod | None:
    """Return the pod of an address; one on the host's network is the node, not a pod."""
    return next(
        (pod for pod in state.pods if pod.address == address and not pod.host_network), None
    )


def _alias_at(address: str, port: int, protocol: str, state: State) -> Pod | None:
    for alias in state.aliases:
        ports = {(named_port.number, named_port.protocol) for named_port in alias.ports}
        if alias.address == address and (port, protocol) in ports:
            return alias
    return None
