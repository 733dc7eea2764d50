"""Real packets through the rules, in networks of their own, held against the evaluator."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from localcluster.node.netpol.evaluate import is_allowed
from localcluster.node.netpol.rules import REMOVAL, ruleset
from localcluster.node.netpol.state import NamedPort, Pod, Policy, State, cluster_dns
from tests.integration.netpol.network import (
    BRIDGE,
    DNS_SERVICE,
    LACKS,
    SERVICE,
    Connection,
    Network,
    inside,
    network,
    v6,
)
from tests.unit.localcluster.node.netpol.states import (
    METADATA,
    NODE,
    OUTSIDE,
    PODS,
    PORTS,
    PROTOCOLS,
    states,
)

pytestmark = pytest.mark.skipif(bool(LACKS), reason=f"packets need {', '.join(LACKS)}")

_SOURCES = (*PODS, NODE, OUTSIDE)
_DESTINATIONS = (*PODS, NODE, OUTSIDE, METADATA)
_CONNECTIONS = tuple(
    Connection(*ends)
    for ends in product(_SOURCES, _DESTINATIONS, PORTS, PROTOCOLS)
    if ends[0] in PODS or ends[1] in PODS
)
_CHAT, _MODEL, _OPERATOR, _NEIGHBOUR, _FREE = PODS


def _policy(suffix: str, selector: dict[str, str], **rules: Any) -> Policy:
    types = [direction.capitalize() for direction in rules]
    spec = {"podSelector": {"matchLabels": selector}, "policyTypes": types, **rules}
    return Policy("team", suffix, spec)


def _tenant() -> State:
    """A workspace, the operator, a neighbour in another namespace and a pod without policies."""
    system = {"matchLabels": {"kubernetes.io/metadata.name": "operator"}}
    dns = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    both = [{"port": 53, "protocol": protocol} for protocol in PROTOCOLS]
    world = {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "169.254.0.0/16"]}
    chat, model = {"app": "chat"}, {"app": "model"}
    from_model = [
        {"podSelector": {"matchLabels": chat}},
        {"namespaceSelector": system, "podSelector": {"matchLabels": {"app": "operator"}}},
    ]
    return State(
        pods=(
            Pod("team", "chat", _CHAT, chat),
            Pod("team", "model", _MODEL, model, (NamedPort("api", 80),)),
            Pod("operator", "operator", _OPERATOR, {"app": "operator"}),
            Pod("neighbour", "chat", _NEIGHBOUR, chat),
            Pod("operator", "other", _FREE, {}),
        ),
        namespaces={
            name: {"kubernetes.io/metadata.name": name}
            for name in ("team", "operator", "neighbour", "kube-system")
        },
        policies=(
            _policy("default-deny", {}, ingress=[], egress=[]),
            _policy("dns", {}, egress=[{"to": [{"namespaceSelector": dns}], "ports": both}]),
            _policy(
                "chat-to-model",
                chat,
                egress=[{"to": [{"podSelector": {"matchLabels": model}}], "ports": [{"port": 80}]}],
            ),
            _policy("to-model", model, ingress=[{"from": from_model, "ports": [{"port": "api"}]}]),
            _policy(
                "downloads", model, egress=[{"to": [{"ipBlock": world}], "ports": [{"port": 443}]}]
            ),
        ),
        aliases=(cluster_dns(NODE),),
        nodes=(NODE,),
    )


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with network() as built:
        yield built


def _check_all(net: Network, state: State) -> None:
    net.filter(ruleset(state, BRIDGE))
    expected = {connection for connection in _CONNECTIONS if is_allowed(*connection, state)}
    passed = net.passing(_CONNECTIONS, expected)
    assert sorted(passed - expected) == [], "passed though denied"
    assert sorted(expected - passed) == [], "stopped though allowed"


def _passes(net: Network, *connection: Any) -> bool:
    connections = {Connection(*connection)}
    return net.passing(connections, connections) == connections


def _stopped(net: Network, *connection: Any) -> bool:
    return not net.passing([Connection(*connection)], set())


def test_a_tenants_packets_go_where_its_policies_say(net: Network) -> None:
    _check_all(net, _tenant())


def test_without_policies_everything_passes(net: Network) -> None:
    _check_all(net, State(_tenant().pods, {}, (), (), (NODE,)))


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # looking for a smaller example would wait for packets that never come
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(state=states())
def test_packets_go_where_any_policies_say(net: Network, state: State) -> None:
    _check_all(net, state)


def test_a_range_of_ports_and_a_hole_in_a_block(net: Network) -> None:
    block = {"cidr": "10.99.0.0/24", "except": [f"{_NEIGHBOUR}/32"]}
    ports = [{"port": 80, "endPort": 81}]
    rule = {"from": [{"ipBlock": block}], "ports": ports}
    policies = (_policy("range", {"app": "chat"}, ingress=[rule]),)
    _check_all(net, replace(_tenant(), policies=policies))


def test_the_tenants_network_policies_by_name(net: Network) -> None:
    """The evaluator is not asked here."""
    net.filter(ruleset(_tenant(), BRIDGE))
    assert _passes(net, _CHAT, _MODEL, 80, "TCP")
    assert _passes(net, _OPERATOR, _MODEL, 80, "TCP")
    assert _passes(net, NODE, _CHAT, 80, "TCP"), "the node's probes and ingress controller"
    assert _passes(net, _CHAT, NODE, 53, "UDP"), "the node's DNS"
    assert _passes(net, _MODEL, OUTSIDE, 443, "TCP"), "downloads"
    for denied in (
        (_NEIGHBOUR, _MODEL, 80, "TCP"),
        (_FREE, _MODEL, 80, "TCP"),
        (_CHAT, NODE, 443, "TCP"),
        (_MODEL, NODE, 443, "TCP"),
        (_CHAT, _NEIGHBOUR, 80, "TCP"),
        (_CHAT, OUTSIDE, 443, "TCP"),
        (_MODEL, METADATA, 443, "TCP"),
        (OUTSIDE, _CHAT, 80, "TCP"),
    ):
        assert _stopped(net, *denied), denied


def test_services_are_judged_by_the_pod_behind_them(net: Network) -> None:
    """The service's port 80 is the first pod's port 81."""
    open_port = [{"port": 81}]
    state = State(
        _tenant().pods,
        _tenant().namespaces,
        (
            _policy("to-chat", {"app": "chat"}, ingress=[{"ports": open_port}]),
            _policy("from-model", {"app": "model"}, egress=[]),
        ),
    )
    net.filter(ruleset(state, BRIDGE))
    assert _passes(net, _NEIGHBOUR, SERVICE, 80, "TCP")
    assert _passes(net, _CHAT, SERVICE, 80, "TCP")
    assert _stopped(net, _MODEL, SERVICE, 80, "TCP")
    closed = _policy("to-chat", {"app": "chat"}, ingress=[{"ports": [{"port": 80}]}])
    net.filter(ruleset(State(state.pods, state.namespaces, (closed,)), BRIDGE))
    assert _stopped(net, _NEIGHBOUR, SERVICE, 80, "TCP")
    assert _passes(net, _CHAT, SERVICE, 80, "TCP"), "a pod reaches itself whatever the policy"


def test_the_nodes_dns_and_api_server_are_told_apart_behind_services(net: Network) -> None:
    net.filter(ruleset(_tenant(), BRIDGE))
    assert _passes(net, _CHAT, DNS_SERVICE, 53, "UDP")
    assert _stopped(net, _CHAT, DNS_SERVICE, 443, "TCP")
    assert _passes(net, _FREE, DNS_SERVICE, 443, "TCP")


def test_connections_that_exist_and_their_replies_keep_passing(net: Network) -> None:
    net.filter(REMOVAL)

    def listen() -> socket.socket:
        return socket.create_server((_CHAT, 8080))

    def connect() -> socket.socket:
        return socket.create_connection((_CHAT, 8080), timeout=5)

    with (
        inside(net.namespaces[_CHAT], listen) as server,
        inside(net.namespaces[_NEIGHBOUR], connect) as client,
        server.accept()[0] as other,
    ):
        net.filter(ruleset(_tenant(), BRIDGE))
        client.sendall(b"question")
        assert other.recv(100) == b"question"
        other.sendall(b"answer")
        assert client.recv(100) == b"answer"


def test_ipv6_between_pods_is_closed(net: Network) -> None:
    def connect(seconds: float) -> int:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as stream:
            stream.settimeout(seconds)
            return stream.connect_ex((v6(_MODEL), 80))

    net.filter(REMOVAL)
    assert inside(net.namespaces[_CHAT], lambda: connect(10)) == 0
    net.filter(ruleset(_tenant(), BRIDGE))
    assert inside(net.namespaces[_NEIGHBOUR], lambda: connect(1)) != 0


def test_taking_the_rules_away_opens_everything(net: Network) -> None:
    net.filter(ruleset(_tenant(), BRIDGE))
    net.filter(REMOVAL)
    assert _passes(net, _NEIGHBOUR, _CHAT, 80, "TCP")
