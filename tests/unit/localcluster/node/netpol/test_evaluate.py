"""The evaluator and the specification's examples and special cases."""

from typing import Any

import pytest

from localcluster.node.netpol.evaluate import is_allowed
from localcluster.node.netpol.state import NamedPort, Pod, Policy, State, cluster_dns

_NODE, _DB, _FRONT, _OTHER = "10.99.0.1", "10.99.0.11", "10.99.0.12", "10.99.0.13"
_PODS = (
    Pod("default", "db", _DB, {"role": "db"}, (NamedPort("redis", 6379),)),
    Pod("default", "front", _FRONT, {"role": "frontend"}),
    Pod("myproject", "other", _OTHER, {"role": "frontend"}),
)
_NAMESPACES = {"default": {}, "myproject": {"project": "myproject"}, "kube-system": {}}
# https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-resource
_EXAMPLE: dict[str, Any] = {
    "podSelector": {"matchLabels": {"role": "db"}},
    "policyTypes": ["Ingress", "Egress"],
    "ingress": [
        {
            "from": [
                {"ipBlock": {"cidr": "172.17.0.0/16", "except": ["172.17.1.0/24"]}},
                {"namespaceSelector": {"matchLabels": {"project": "myproject"}}},
                {"podSelector": {"matchLabels": {"role": "frontend"}}},
            ],
            "ports": [{"protocol": "TCP", "port": 6379}],
        }
    ],
    "egress": [
        {
            "to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
            "ports": [{"protocol": "TCP", "port": 5978}],
        }
    ],
}


def _state(*specs: dict[str, Any]) -> State:
    policies = tuple(Policy("default", "policy", spec) for spec in specs)
    return State(_PODS, _NAMESPACES, policies, (cluster_dns(_NODE),), (_NODE,))


@pytest.mark.parametrize(
    ("source", "destination", "port", "protocol", "expected"),
    [
        (_FRONT, _DB, 6379, "TCP", True),
        (_OTHER, _DB, 6379, "TCP", True),
        ("172.17.0.9", _DB, 6379, "TCP", True),
        ("172.17.1.9", _DB, 6379, "TCP", False),
        (_FRONT, _DB, 6380, "TCP", False),
        (_FRONT, _DB, 6379, "UDP", False),
        (_DB, "10.0.0.7", 5978, "TCP", True),
        (_DB, "10.0.1.7", 5978, "TCP", False),
        (_DB, _FRONT, 80, "TCP", False),
        (_FRONT, _OTHER, 80, "TCP", True),
        (_NODE, _DB, 1, "TCP", True),
        (_DB, _DB, 1, "TCP", True),
        (_DB, _NODE, 6443, "TCP", False),
    ],
)
def test_the_documentations_example(
    source: str, destination: str, port: int, protocol: str, expected: bool
) -> None:
    assert is_allowed(source, destination, port, protocol, _state(_EXAMPLE)) is expected


def test_policies_add_up() -> None:
    deny = {"podSelector": {}, "policyTypes": ["Ingress"]}
    allow: dict[str, Any] = {"podSelector": {}, "ingress": [{}]}
    assert not is_allowed(_FRONT, _DB, 80, "TCP", _state(deny))
    assert is_allowed(_FRONT, _DB, 80, "TCP", _state(deny, allow))


def test_both_sides_must_agree() -> None:
    ingress = {"podSelector": {"matchLabels": {"role": "db"}}, "ingress": [{}]}
    no_egress = {"podSelector": {"matchLabels": {"role": "frontend"}}, "policyTypes": ["Egress"]}
    assert not is_allowed(_FRONT, _DB, 80, "TCP", _state(ingress, no_egress))


def test_a_port_name_is_the_destinations() -> None:
    spec = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"ports": [{"port": "redis"}]}],
    }
    assert is_allowed(_FRONT, _DB, 6379, "TCP", _state(spec))
    assert not is_allowed(_FRONT, _OTHER, 6379, "TCP", _state(spec))


def test_an_absent_label_is_not_in_any_value() -> None:
    expression = {"key": "tier", "operator": "NotIn", "values": ["web"]}
    spec = {"podSelector": {"matchExpressions": [expression]}, "policyTypes": ["Ingress"]}
    assert not is_allowed(_FRONT, _DB, 80, "TCP", _state(spec))


def test_dns_on_the_node_is_a_pod_at_its_own_ports_only() -> None:
    peer = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [peer]}]}
    assert is_allowed(_DB, _NODE, 53, "UDP", _state(spec))
    assert not is_allowed(_DB, _NODE, 6443, "TCP", _state(spec))


def test_an_unknown_operator_is_an_error() -> None:
    expression = {"key": "tier", "operator": "Near"}
    spec = {"podSelector": {"matchExpressions": [expression]}}
    with pytest.raises(ValueError, match="Near"):
        is_allowed(_FRONT, _DB, 80, "TCP", _state(spec))
