from aichat_workspace.domain.manifest import covers


def test_fields_that_the_api_server_filled_in_are_no_difference() -> None:
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


def test_a_list_that_is_one_value_must_be_whole() -> None:
    assert not covers({"egress": [{}, {}]}, {"egress": [{}]})
    assert covers({"egress": [{"to": []}]}, {"egress": [{"to": []}]})


def test_quantities_are_compared_as_amounts_and_only_where_they_are_quantities() -> None:
    assert covers({"limits": {"cpu": "2"}}, {"limits": {"cpu": "2000m"}})
    assert not covers({"value": "2"}, {"value": "2000m"})
