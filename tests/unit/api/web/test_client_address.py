from ipaddress import ip_network

import pytest

from aichat_workspace.api.web.client_address import resolve_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("10.1.2.3", ["203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:10.1.2.3", ["203.0.113.7"], "203.0.113.7"),
        ("10.1.2.3", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.1.2.3", ["[2001:db8::7]:4711"], "2001:db8::/64"),
        ("10.1.2.3", [], "10.1.2.3"),
    ],
)
def test_a_trusted_proxy_tells_whom_it_has_seen(
    peer: str, forwarded: list[str], found: str
) -> None:
    assert resolve_address(peer, forwarded, PROXIES) == found


@pytest.mark.parametrize(
    "forwarded",
    [["198.51.100.1, 203.0.113.7"], ["198.51.100.1", "203.0.113.7"], ["10.9.9.9 ,203.0.113.7"]],
)
def test_what_the_client_itself_wrote_before_is_not_believed(forwarded: list[str]) -> None:
    assert resolve_address("10.1.2.3", forwarded, PROXIES) == "203.0.113.7"


def test_a_client_in_a_proxys_network_can_not_make_itself_another() -> None:
    assert resolve_address("10.1.2.3", ["198.51.100.1, 10.5.5.5"], PROXIES) == "10.5.5.5"


def test_who_comes_by_no_trusted_proxy_is_whom_the_connection_says() -> None:
    assert resolve_address("203.0.113.7", ["198.51.100.1"], PROXIES) == "203.0.113.7"
    assert resolve_address("10.1.2.3", ["198.51.100.1"], ()) == "10.1.2.3"


@pytest.mark.parametrize("written", ["", "unknown", "_hidden", "1.2.3.4.5"])
def test_what_is_no_address_counts_as_the_proxys(written: str) -> None:
    assert resolve_address("10.1.2.3", [written], PROXIES) == "10.1.2.3"


def test_a_peer_without_an_address_stays_what_it_is() -> None:
    assert resolve_address("", ["203.0.113.7"], PROXIES) == ""
    assert resolve_address("testclient", [], PROXIES) == "testclient"


def test_all_of_an_ipv6_network_are_one() -> None:
    one, other = (resolve_address(each, [], ()) for each in ("2001:db8::1", "2001:db8::ffff:2"))
    assert one == other != resolve_address("2001:db8:0:1::1", [], ())
