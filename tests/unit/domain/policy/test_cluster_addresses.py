import pytest

from aichat_workspace.domain.policy import cluster_addresses
from aichat_workspace.domain.v1alpha1.network_settings import IPV6_EXCEPTED, Dns, IpFamily, Network
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec


def test_a_nodes_addresses_and_its_pods_ranges_are_the_clusters_own() -> None:
    addresses = [
        {"type": "InternalIP", "address": "10.0.0.4"},
        {"type": "ExternalIP", "address": "203.0.113.7"},
        {"type": "InternalIP", "address": "2001:db8::4"},
        {"type": "InternalIP", "address": "fe80::1%eth0"},
        {"type": "Hostname", "address": "node-1"},
    ]
    node = {"spec": {"podCIDRs": ["2001:db8:1::/64"]}, "status": {"addresses": addresses}}
    own = {"10.0.0.4", "203.0.113.7", "2001:db8::4", "2001:db8:1::/64"}
    assert cluster_addresses.of_node(node) == own
    assert cluster_addresses.of_node({}) == frozenset()


def test_the_api_servers_addresses_are_those_of_its_service() -> None:
    endpoints = [{"addresses": ["203.0.113.1"]}, {"addresses": ["fd00::1"]}, {}]
    assert cluster_addresses.of_endpoints({"endpoints": endpoints}) == {
        "203.0.113.1",
        "fd00::1",
    }


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


def test_a_list_without_ipv6_has_its_defaults_although_a_nodes_address_is_added() -> None:
    own = PlatformSpec(network=Network(egress_except=("10.0.0.0/8",)))
    settings = cluster_addresses.without(own, {"2001:db8::4", "fd00::4"})
    assert settings.network.egress_except == ("10.0.0.0/8", *IPV6_EXCEPTED, "2001:db8::4/128")


@pytest.mark.parametrize(
    ("first_addresses", "family"),
    [
        ([], IpFamily.IPV4),
        (["10.0.0.4"], IpFamily.IPV4),
        (["fd00::4", "fd00::5"], IpFamily.IPV6),
        (["fd00::4", "10.0.0.4"], IpFamily.IPV4),
    ],
)
def test_the_family_is_that_of_every_nodes_first_address(
    first_addresses: list[str], family: IpFamily
) -> None:
    nodes = [
        {
            "status": {
                "addresses": [
                    {"type": "Hostname", "address": "node"},
                    {"type": "InternalIP", "address": address},
                    {"type": "InternalIP", "address": "192.0.2.1"},
                ]
            }
        }
        for address in first_addresses
    ]
    assert cluster_addresses.first_family(nodes) is family


def test_the_servers_of_a_resolv_conf_are_dns_but_for_those_on_loopback() -> None:
    text = "search a.svc\nnameserver 10.96.0.10\nnameserver fd00::a\nnameserver 127.0.0.53\n#x\n"
    assert cluster_addresses.resolvers(text) == ("10.96.0.10/32", "fd00::a/128")
    assert cluster_addresses.resolvers("nameserver\noptions ndots:5\n") == ()


def test_what_the_settings_leave_to_the_cluster_is_filled_in_and_what_they_say_stays() -> None:
    nodes = [{"status": {"addresses": [{"type": "InternalIP", "address": "fd00::4"}]}}]
    settings = cluster_addresses.with_cluster(PlatformSpec(), nodes, ["10.96.0.10/32"])
    assert settings.network.dns.addresses == (*Dns().addresses, "10.96.0.10/32")
    assert settings.network.ip_family is IpFamily.IPV6
    explicit = PlatformSpec(network=Network(ip_family=IpFamily.IPV4))
    assert cluster_addresses.with_cluster(explicit, nodes, []) == explicit
