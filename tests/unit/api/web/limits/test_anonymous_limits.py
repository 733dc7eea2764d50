import pytest

from aichat_workspace.api.web.limits.anonymous_limits import AnonymousRateLimits, KnownAddresses
from aichat_workspace.api.web.responses.problems import ProblemError
from tests.unit.api.clock import FakeClock

HOME = "198.51.100.1"


def create_limits(per_second: float = 10, burst: int = 10) -> tuple[AnonymousRateLimits, FakeClock]:
    clock = FakeClock()
    limits = AnonymousRateLimits.create(per_second, burst, KnownAddresses(clock), clock)
    return limits, clock


def count_allowed(limits: AnonymousRateLimits, addresses: list[str]) -> int:
    """Return how many requests are allowed, sent in turns until each address is refused."""
    count, remaining = 0, list(addresses)
    while remaining:
        for address in tuple(remaining):
            try:
                limits.take(address)
                count += 1
            except ProblemError:
                remaining.remove(address)
    return count


@pytest.mark.parametrize(
    ("addresses", "count"),
    [
        (["203.0.113.7"], 2),
        ([f"203.0.113.{n}" for n in range(100)], 4),
        ([f"203.0.{n}.1" for n in range(100)], 10),
        (["2001:db8::/64"], 2),
        ([f"2001:db8:0:{n:x}::/64" for n in range(256)], 4),
        ([f"2001:db8:0:{n:x}00::/64" for n in range(256)], 4),
        ([f"2001:db8:{n:x}::/64" for n in range(256)], 10),
        (["unknown"], 2),
    ],
)
def test_a_customer_with_a_whole_network_has_its_share_only(
    addresses: list[str], count: int
) -> None:
    limits, _ = create_limits()
    assert count_allowed(limits, addresses) == count
    with pytest.raises(ProblemError, match="unknown callers come"):
        limits.take(addresses[0])


def test_strangers_everywhere_do_not_affect_a_known_address() -> None:
    limits, clock = create_limits(50, 500)
    limits.known.add(HOME)
    flood = [f"{a}.{b}.1.1" for a in range(1, 20) for b in range(20)]
    for _ in range(100):
        clock.now += 0.01
        count_allowed(limits, flood)
        with pytest.raises(ProblemError):
            limits.take("192.0.2.1")
        limits.take(HOME)


def test_a_known_address_has_a_limit_too() -> None:
    limits, _ = create_limits()
    limits.known.add(HOME)
    assert count_allowed(limits, [HOME]) == 4


def test_an_address_is_known_for_a_day_and_strangers_can_not_make_it_forgotten() -> None:
    limits, clock = create_limits(1e6, 10**6)
    limits.known.add(HOME)
    count_allowed(limits, [])
    for n in range(20_000):
        limits.take(f"10.{n // 250}.{n % 250}.1")
    clock.now = 86_399.0
    assert HOME in limits.known
    clock.now = 86_400.0
    assert HOME not in limits.known


def test_the_address_whose_token_is_the_oldest_is_forgotten_first() -> None:
    known = KnownAddresses(FakeClock())
    for n in range(10_001):
        known.add(str(n))
    assert "0" not in known
    assert {"1", "10000"} <= {address for address in ("1", "10000") if address in known}
