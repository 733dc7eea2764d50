from contextlib import ExitStack, suppress

import pytest

from aichat_workspace.api.settings import Bounds
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.web.rate_limits import (
    NAMESPACE_SHARES,
    AnonymousRateLimits,
    ConcurrencyLimit,
    RateLimits,
    TokenBucket,
)

BOUNDS = Bounds(requests_per_second=1.0, burst=2, streams_per_caller=2, streams=1_000)
ACCOUNTS = [f"system:serviceaccount:ci:robot-{n}" for n in range(100)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_so_many_a_second() -> None:
    clock = Clock()
    rate = TokenBucket(2.0, 3, clock)
    for _ in range(3):
        rate.take("ann")
    with pytest.raises(ProblemError) as caught:
        rate.take("ann")
    assert caught.value.status == 429
    assert caught.value.retry_after_seconds == 1
    clock.now = 0.5
    rate.take("ann")
    with pytest.raises(ProblemError):
        rate.take("ann")


def test_whoever_waits_as_told_is_let_through() -> None:
    clock = Clock()
    rate = TokenBucket(0.3, 1, clock)
    rate.take("ann")
    with pytest.raises(ProblemError) as caught:
        rate.take("ann")
    assert caught.value.retry_after_seconds is not None
    clock.now += caught.value.retry_after_seconds
    rate.take("ann")


def test_one_callers_haste_is_not_anothers() -> None:
    rate = TokenBucket(1.0, 1, Clock())
    rate.take("ann")
    rate.take("bob")


def test_streams_are_counted_while_they_last() -> None:
    streams = ConcurrencyLimit(1, 2)
    with streams.slot("ann"):
        with pytest.raises(ProblemError), streams.slot("ann"):
            pass
        with streams.slot("bob"), pytest.raises(ProblemError), streams.slot("eve"):
            pass
    with streams.slot("ann"):
        assert streams.taken == 1
    assert streams.taken == 0


def let_through(rates: RateLimits, callers: list[str]) -> int:
    """How many of a request by each are answered."""
    count = 0
    for each in callers:
        with suppress(ProblemError):
            rates.take(each)
            count += 1
    return count


def test_a_hundred_accounts_of_a_namespace_ask_no_more_than_five_callers() -> None:
    rates = RateLimits.from_bounds(BOUNDS, Clock())
    assert let_through(rates, ACCOUNTS * 2) == BOUNDS.burst * NAMESPACE_SHARES
    assert let_through(rates, ["ann", "system:serviceaccount:other:robot"]) == 2


def test_one_account_has_no_more_than_a_callers_share() -> None:
    rates = RateLimits.from_bounds(BOUNDS, Clock())
    assert let_through(rates, ACCOUNTS[:1] * 10) == BOUNDS.burst
    assert let_through(rates, ACCOUNTS[1:2]) == 1


def test_people_share_with_nobody() -> None:
    people = [f"oidc:person-{n}" for n in range(100)]
    assert let_through(RateLimits.from_bounds(BOUNDS, Clock()), people) == 100


def test_a_hundred_accounts_of_a_namespace_have_no_more_streams_than_five_callers() -> None:
    streams = ConcurrencyLimit(BOUNDS.streams_per_caller, BOUNDS.streams)
    with ExitStack() as held:
        for each in ACCOUNTS * 2:
            with suppress(ProblemError):
                held.enter_context(streams.slot(each))
        assert streams.taken == BOUNDS.streams_per_caller * NAMESPACE_SHARES
        with pytest.raises(ProblemError, match="all together"), streams.slot(ACCOUNTS[-1]):
            pass
        with streams.slot("ann"), streams.slot("system:serviceaccount:other:robot"):
            pass
    assert streams.taken == 0
    with streams.slot(ACCOUNTS[-1]):
        pass


def test_strangers_of_one_address_have_less_than_all_strangers() -> None:
    strangers = AnonymousRateLimits.create(10, 10, Clock())
    for _ in range(4):
        strangers.take("one")
    with pytest.raises(ProblemError, match="your address"):
        strangers.take("one")
    for _ in range(4):
        strangers.take("two")
    for _ in range(2):
        strangers.take("three")
    with pytest.raises(ProblemError, match=r"unknown callers come\."):
        strangers.take("three")
