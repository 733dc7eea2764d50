"""The rules, compared with the evaluator."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from localcluster.node.netpol import rules
from localcluster.node.netpol.evaluate import is_allowed
from localcluster.node.netpol.rules import PolicyChain, Ports, policy_chains, ruleset
from localcluster.node.netpol.state import NamedPort, Pod, Policy, State
from tests.unit.localcluster.node.netpol.states import (
    LABELS,
    METADATA,
    NODE,
    OUTSIDE,
    PODS,
    PORTS,
    PROTOCOLS,
    SELECTORS,
    states,
)

_POD = Pod("red", "one", "10.99.0.11", {"app": "a"}, (NamedPort("web", 80),))


def _state(spec: dict[str, Any], *others: Pod) -> State:
    return State((_POD, *others), {"red": {}}, (Policy("red", "policy", spec),))


def _passes(
    chains: tuple[PolicyChain, ...], source: str, destination: str, port: int, protocol: str
) -> bool:
    """Decide as the chains of the ruleset do."""
    ends = {"egress": (source, destination), "ingress": (destination, source)}
    ports = Ports(protocol, port, port)
    return all(
        any(other in rule.peers and ports.is_within(rule.ports) for rule in chain.allow_rules)
        for chain in chains
        for own, other in [ends[chain.direction]]
        if chain.pod.address == own
    )


@given(states())
def test_rules_and_evaluator_agree_on_all_connections_from_a_pod(state: State) -> None:
    chains = policy_chains(state)
    for source in PODS:
        for destination in (*PODS, NODE, OUTSIDE, METADATA):
            for port in PORTS:
                for protocol in PROTOCOLS:
                    connection = (source, destination, port, protocol)
                    assert _passes(chains, *connection) == is_allowed(*connection, state), (
                        connection
                    )


@given(states())
def test_rules_and_evaluator_agree_on_all_connections_from_outside(state: State) -> None:
    chains = policy_chains(state)
    for destination in PODS:
        for port in PORTS:
            for protocol in PROTOCOLS:
                connection = (OUTSIDE, destination, port, protocol)
                assert _passes(chains, *connection) == is_allowed(*connection, state), connection


@settings(max_examples=500)
@given(SELECTORS, LABELS)
def test_rules_and_evaluator_agree_on_the_pods_of_a_selector(
    selector: dict[str, Any], labels: dict[str, str]
) -> None:
    policy = Policy("red", "policy", {"podSelector": selector, "policyTypes": ["Ingress"]})
    state = State((replace(_POD, labels=labels),), {"red": {}}, (policy,))
    assert bool(policy_chains(state)) != is_allowed(OUTSIDE, _POD.address, 80, "TCP", state)


@pytest.mark.parametrize(
    ("operator", "selected"),
    [
        ("In", [{"app": "a"}]),
        ("NotIn", [{"app": "b"}, {}]),
        ("Exists", [{"app": "a"}, {"app": "b"}]),
        ("DoesNotExist", [{}]),
    ],
)
def test_operators_select_pods_as_specified(operator: str, selected: list[dict[str, str]]) -> None:
    expression: dict[str, Any] = {"key": "app", "operator": operator}
    if operator in ("In", "NotIn"):
        expression |= {"values": ["a"]}
    candidates: list[dict[str, str]] = [{"app": "a"}, {"app": "b"}, {}]
    pods = tuple(replace(_POD, labels=labels) for labels in candidates)
    policy = Policy("red", "policy", {"podSelector": {"matchExpressions": [expression]}})
    chains = policy_chains(State(pods, {"red": {}}, (policy,)))
    assert [chain.pod.labels for chain in chains] == selected


def test_without_policies_only_the_hooks_remain() -> None:
    text = ruleset(State((_POD,), {"red": {}}, ()), "bridge0")
    assert "drop" not in text.replace('iifname "bridge0" meta nfproto ipv6 drop', "")


def test_the_table_before_is_replaced_in_the_same_transaction() -> None:
    text = ruleset(_state({"podSelector": {}}), "bridge0")
    assert text.startswith(rules.REMOVAL + "table inet localcluster_netpol {")


def test_a_policy_without_types_isolates_ingress_only() -> None:
    assert [chain.direction for chain in policy_chains(_state({"podSelector": {}}))] == ["ingress"]


def test_a_policy_without_types_isolates_egress_too_when_it_has_egress_rules() -> None:
    chains = policy_chains(_state({"podSelector": {}, "egress": [{}]}))
    assert {chain.direction for chain in chains} == {"ingress", "egress"}


def test_pods_on_the_hosts_network_have_no_chain() -> None:
    host = replace(_POD, name="host", address=NODE, host_network=True)
    assert [chain.pod for chain in policy_chains(_state({"podSelector": {}}, host))] == [_POD]


def test_pods_on_the_hosts_network_are_no_peers() -> None:
    host = replace(_POD, name="host", address=NODE, host_network=True)
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": {}}]}]}
    assert f"{NODE}/32" not in ruleset(_state(spec, host), "bridge0")


def test_a_rule_whose_selectors_select_no_pod_allows_nothing() -> None:
    spec = {
        "podSelector": {},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "none"}}}]}],
    }
    (chain,) = policy_chains(_state(spec))
    assert [str(rule.peers.networks[0]) for rule in chain.allow_rules] == ["10.99.0.11/32"]


def test_a_port_name_that_the_pod_lacks_allows_nothing() -> None:
    (chain,) = policy_chains(
        _state({"podSelector": {}, "ingress": [{"ports": [{"port": "admin"}]}]})
    )
    assert len(chain.allow_rules) == 1


def test_a_named_port_becomes_the_pods_number() -> None:
    assert "    tcp dport 80 return\n" in ruleset(
        _state({"podSelector": {}, "ingress": [{"ports": [{"port": "web"}]}]}), "bridge0"
    )


def test_overlapping_exceptions_are_merged() -> None:
    block = {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "10.96.0.0/12"]}
    spec = {"podSelector": {}, "ingress": [{"from": [{"ipBlock": block}]}]}
    assert "ip saddr != { 10.0.0.0/8 } return" in ruleset(_state(spec), "bridge0")
