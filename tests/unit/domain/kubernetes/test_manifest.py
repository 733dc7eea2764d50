from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import covers


def test_a_field_that_the_api_server_filled_in_is_no_difference() -> None:
    desired = {"spec": {"replicas": 1}}
    observed = {"spec": {"replicas": 1, "revisionHistoryLimit": 10}, "status": {}}
    assert covers(observed, desired)


def test_a_changed_or_missing_value_is_a_difference() -> None:
    assert not covers({"spec": {"replicas": 3}}, {"spec": {"replicas": 1}})
    assert not covers({"spec": {}}, {"spec": {"replicas": 1}})


def test_containers_and_variables_are_matched_by_name_in_any_order() -> None:
    observed = {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]}
    assert covers(observed, {"env": [{"name": "A", "value": "1"}]})
    assert not covers(observed, {"env": [{"name": "A", "value": "2"}]})


def test_ports_of_one_number_are_told_apart_by_protocol() -> None:
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert covers({"ports": ports}, {"ports": ports})
    assert not covers({"ports": ports[:1]}, {"ports": ports})


def test_a_list_that_is_one_value_must_be_equal() -> None:
    assert not covers({"egress": [{}, {}]}, {"egress": [{}]})
    assert covers({"egress": [{"to": []}]}, {"egress": [{"to": []}]})


def test_quantities_are_compared_as_amounts_and_only_where_they_are_quantities() -> None:
    assert covers({"limits": {"cpu": "2"}}, {"limits": {"cpu": "2000m"}})
    assert not covers({"value": "2"}, {"value": "2000m"})


PEER = {"podSelector": {"matchLabels": {"app": "web"}}}
POLICY = {"spec": {"ingress": [{"from": [PEER], "ports": [{"port": 80, "protocol": "TCP"}]}]}}
ROUTE = {"spec": {"rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}}
PATH = [{"path": {"type": "PathPrefix", "value": "/"}}]


def ingress(peer: object, **port: object) -> dict[str, Any]:
    ports = [{"port": 80, "protocol": "TCP", **port}]
    return {"spec": {"ingress": [{"from": [peer], "ports": ports}]}}


@pytest.mark.parametrize(
    "widened",
    [
        ingress({**PEER, "namespaceSelector": {}}),
        ingress(PEER, endPort=65535),
        {"spec": {"ingress": [{**POLICY["spec"]["ingress"][0], "from": [PEER, {}]}]}},
    ],
)
def test_an_entry_of_a_list_that_is_one_value_may_have_no_further_field(widened: object) -> None:
    assert covers(POLICY, POLICY)
    assert not covers(widened, POLICY)


def test_a_port_added_to_a_rule_that_is_one_value_is_a_difference() -> None:
    ports = [{"port": 80, "protocol": "TCP"}, {"port": 22}]
    rule = {**POLICY["spec"]["ingress"][0], "ports": ports}
    assert not covers({"spec": {"ingress": [rule]}}, POLICY)


@pytest.mark.parametrize("field", ["podSelector", "selector", "nodeSelector", "secretKeyRef"])
def test_a_map_that_is_null_differs_from_one_that_is_one_value(field: str) -> None:
    assert not covers({field: None}, {field: {"a": "b"}})


@pytest.mark.parametrize("field", ["podSelector", "selector", "nodeSelector", "secretKeyRef"])
def test_a_map_that_is_one_value_may_have_no_further_field(field: str) -> None:
    assert covers({field: {"a": "b"}}, {field: {"a": "b"}})
    assert not covers({field: {"a": "b", "c": "d"}}, {field: {"a": "b"}})


def test_a_field_that_the_api_server_filled_into_a_route_is_no_difference() -> None:
    backend = {"name": "web", "port": 80, "group": "", "kind": "Service", "weight": 1}
    assert covers({"spec": {"rules": [{"backendRefs": [backend], "matches": PATH}]}}, ROUTE)


def test_a_filter_added_to_a_route_is_a_difference() -> None:
    rule = {**ROUTE["spec"]["rules"][0], "filters": [{"type": "RequestRedirect"}]}
    assert not covers({"spec": {"rules": [rule]}}, ROUTE)
    other_path = [{"path": {"type": "PathPrefix", "value": "/admin"}}]
    assert not covers(
        {"spec": {"rules": [{**ROUTE["spec"]["rules"][0], "matches": other_path}]}}, ROUTE
    )


def test_quantities_in_a_list_that_is_one_value_are_compared_as_amounts() -> None:
    desired = {"limits": [{"type": "Container", "default": {"cpu": "2000m"}}]}
    assert covers({"limits": [{"type": "Container", "default": {"cpu": "2"}}]}, desired)
    assert not covers({"limits": [{"type": "Container", "default": {"cpu": "3"}}]}, desired)


def test_an_empty_value_that_the_api_server_leaves_out_is_no_difference() -> None:
    assert covers({"env": [{"name": "A"}]}, {"env": [{"name": "A", "value": ""}]})
    assert covers({"tolerations": [{"key": "A"}]}, {"tolerations": [{"key": "A", "value": ""}]})
    assert not covers({"env": [{"name": "A", "value": "b"}]}, {"env": [{"name": "A", "value": ""}]})
    assert not covers({}, {"emptyDir": {}})
