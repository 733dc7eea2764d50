from ipaddress import ip_network

import pytest

from aichat_workspace.api.web.requests.client_address import enclosing_networks, resolve_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.1.2.3", ["203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:10.1.2.3", ["203.0.113.7"], "203.0.113.7"),
        ("10.1.2.3", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.1.2.3", ["[2001:db8::7]:4711"], "2001:db8::/64"),
        ("10.1.2.3", [], "10.1.2.3"),
    ],
)
def test_a_trusted_proxys_last_address_is_the_clients(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert resolve_address(peer, forwarded, PROXIES) == address


@pytest.mark.parametrize(
    "forwarded",
    [["198.51.100.1, 203.0.113.7"], ["198.51.100.1", "203.0.113.7"], ["10.9.9.9 ,203.0.113.7"]],
)
def test_forwarded_addresses_that_the_client_wrote_are_ignored(forwarded: list[str]) -> None:
    assert resolve_address("10.1.2.3", forwarded, PROXIES) == "203.0.113.7"


def test_a_client_in_a_proxys_network_can_not_forge_its_address() -> None:
    assert resolve_address("10.1.2.3", ["198.51.100.1, 10.5.5.5"], PROXIES) == "10.5.5.5"


def test_without_a_trusted_proxy_the_address_is_the_peers() -> None:
    assert resolve_address("203.0.113.7", ["198.51.100.1"], PROXIES) == "203.0.113.7"
    assert resolve_address("10.1.2.3", ["198.51.100.1"], ()) == "10.1.2.3"


@pytest.mark.parametrize("written", ["", "unknown", "_hidden", "1.2.3.4.5"])
def test_an_invalid_forwarded_address_counts_as_the_proxys(written: str) -> None:
    assert resolve_address("10.1.2.3", [written], PROXIES) == "10.1.2.3"


def test_a_peer_without_an_ip_address_is_returned_unchanged() -> None:
    assert resolve_address("", ["203.0.113.7"], PROXIES) == ""
    assert resolve_address("testclient", [], PROXIES) == "testclient"


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    first, second = (
        resolve_address(address, [], ()) for address in ("2001:db8::1", "2001:db8::ffff:2")
    )
    assert first == second != resolve_address("2001:db8:0:1::1", [], ())


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("203.0.113.7", ("203.0.113.7", "203.0.113.0/24")),
        (
            "2001:db8:1:23::/64",
            ("2001:db8:1:23::/64", "2001:db8:1::/56", "2001:db8:1::/48"),
        ),
        ("", ("",)),
        ("testclient", ("testclient",)),
    ],
)
def test_an_address_is_in_the_networks_that_one_customer_may_have(
    address: str, networks: tuple[str, ...]
) -> None:
    assert enclosing_networks(address) == networks
