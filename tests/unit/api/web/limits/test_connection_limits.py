from ipaddress import ip_network

import pytest

from aichat_workspace.api.settings import Bounds
from aichat_workspace.api.web.limits.connection_limits import ConnectionLimits


@pytest.mark.parametrize(
    ("peer", "limits"),
    [
        ("203.0.113.7", {"203.0.113.7": 4, "203.0.113.0/24": 8}),
        ("::ffff:203.0.113.7", {"203.0.113.7": 4, "203.0.113.0/24": 8}),
        (
            "2001:db8:1:23::7",
            {"2001:db8:1:23::/64": 4, "2001:db8:1::/56": 8, "2001:db8:1::/48": 16},
        ),
        ("10.1.2.3", {"10.1.2.3": 75}),
        ("::ffff:10.1.2.3", {"::ffff:10.1.2.3": 75}),
        ("", {"": 4}),
    ],
)
def test_shares_are_by_nested_networks_and_larger_for_a_proxy(
    peer: str, limits: dict[str, int]
) -> None:
    bounds = Bounds(connections_per_address=4, connections=100)
    shares = ConnectionLimits.create(bounds, (), (ip_network("10.0.0.0/8"),))
    assert shares.connection_limits(peer) == limits


def test_strangers_keep_out_neither_known_addresses_nor_proxies() -> None:
    limits = ConnectionLimits.create(
        Bounds(connections=100), {"203.0.113.7", "2001:db8::/64"}, (ip_network("10.0.0.0/8"),)
    )
    for peer in ("203.0.113.7", "2001:db8::7", "10.1.2.3", "::ffff:10.1.2.3"):
        assert limits.pool(peer) is limits.trusted
    for peer in ("203.0.113.8", "2001:db8:0:1::7", ""):
        assert limits.pool(peer) is limits.strangers
    assert limits.strangers.connections.overall == 25
