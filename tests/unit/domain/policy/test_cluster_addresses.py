from aichat_workspace.domain.policy import cluster_addresses
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec


def test_a_nodes_ipv4_addresses_are_its_own() -> None:
    addresses = [
        {"type": "InternalIP", "address": "10.0.0.4"},
        {"type": "ExternalIP", "address": "203.0.113.7"},
        {"type": "InternalIP", "address": "fd00::4"},
        {"type": "Hostname", "address": "node-1"},
    ]
    node = {"status": {"addresses": addresses}}
    assert cluster_addresses.of_node(node) == {"10.0.0.4", "203.0.113.7"}
    assert cluster_addresses.of_node({}) == frozenset()


def test_the_api_servers_addresses_are_those_of_its_service() -> None:
    endpoints = [{"addresses": ["203.0.113.1"]}, {"addresses": ["fd00::1"]}, {}]
    assert cluster_addresses.of_endpoints({"endpoints": endpoints}) == {"203.0.113.1"}


def test_public_addresses_are_excepted_and_those_in_a_range_already_are_not_listed_again() -> None:
    before = PlatformSpec()
    settings = cluster_addresses.without(before, {"10.0.0.4", "203.0.113.9"})
    ranges = before.network.egress_except
    assert settings.network.egress_except == (*ranges, "203.0.113.9/32")
    assert cluster_addresses.without(before, {"10.0.0.4", "172.16.3.4"}) is before


def test_neighbouring_addresses_are_one_range() -> None:
    nodes = {f"203.0.113.{n}" for n in range(8)}
    settings = cluster_addresses.without(PlatformSpec(), nodes)
    assert settings.network.egress_except[-1] == "203.0.113.0/29"
