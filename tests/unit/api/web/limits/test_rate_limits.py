from contextlib import ExitStack, suppress

import pytest

from aichat_workspace.api.settings import Bounds
from aichat_workspace.api.web.limits.rate_limits import (
    NAMESPACE_SHARES,
    ConcurrencyLimit,
    RateLimits,
    TokenBucket,
)
from aichat_workspace.api.web.responses.problems import ProblemError
from tests.unit.api.clock import FakeClock

BOUNDS = Bounds(requests_per_second=1.0, burst=2, streams_per_caller=2, streams=1_000)
ACCOUNTS = [f"system:serviceaccount:ci:robot-{n}" for n in range(100)]


def test_after_a_burst_requests_are_limited_per_second() -> None:
    clock = FakeClock()
    bucket = TokenBucket(2.0, 3, clock)
    for _ in range(3):
        bucket.take("ann")
    with pytest.raises(ProblemError) as caught:
        bucket.take("ann")
    assert caught.value.status == 429
    assert caught.value.retry_after_seconds == 1
    clock.now = 0.5
    bucket.take("ann")
    with pytest.raises(ProblemError):
        bucket.take("ann")


def test_a_request_after_the_retry_time_is_allowed() -> None:
    clock = FakeClock()
    bucket = TokenBucket(0.3, 1, clock)
    bucket.take("ann")
    with pytest.raises(ProblemError) as caught:
        bucket.take("ann")
    assert caught.value.retry_after_seconds is not None
    clock.now += caught.value.retry_after_seconds
    bucket.take("ann")


def test_callers_have_separate_buckets() -> None:
    bucket = TokenBucket(1.0, 1, FakeClock())
    bucket.take("ann")
    bucket.take("bob")


def test_streams_take_slots_while_they_are_open() -> None:
    streams = ConcurrencyLimit.create(1, 2)
    with streams.slot("ann"):
        with pytest.raises(ProblemError), streams.slot("ann"):
            pass
        with streams.slot("bob"), pytest.raises(ProblemError), streams.slot("eve"):
            pass
    with streams.slot("ann"):
        assert streams.taken == 1
    assert streams.taken == 0


def count_allowed(limits: RateLimits, callers: list[str]) -> int:
    """Return how many requests, one by each caller, are allowed."""
    count = 0
    for caller in callers:
        with suppress(ProblemError):
            limits.take(caller)
            count += 1
    return count


def test_service_accounts_of_a_namespace_share_five_callers_requests() -> None:
    limits = RateLimits.create(BOUNDS.requests_per_second, BOUNDS.burst, FakeClock())
    assert count_allowed(limits, ACCOUNTS * 2) == BOUNDS.burst * NAMESPACE_SHARES
    assert count_allowed(limits, ["ann", "system:serviceaccount:other:robot"]) == 2


def test_a_service_account_has_one_callers_requests() -> None:
    limits = RateLimits.create(BOUNDS.requests_per_second, BOUNDS.burst, FakeClock())
    assert count_allowed(limits, ACCOUNTS[:1] * 10) == BOUNDS.burst
    assert count_allowed(limits, ACCOUNTS[1:2]) == 1


def test_people_have_separate_limits() -> None:
    people = [f"oidc:person-{n}" for n in range(100)]
    assert (
        count_allowed(
            RateLimits.create(BOUNDS.requests_per_second, BOUNDS.burst, FakeClock()), people
        )
        == 100
    )


def test_service_accounts_of_a_namespace_share_five_callers_streams() -> None:
    streams = ConcurrencyLimit.create(BOUNDS.streams_per_caller, BOUNDS.streams)
    with ExitStack() as stack:
        for account in ACCOUNTS * 2:
            with suppress(ProblemError):
                stack.enter_context(streams.slot(account))
        assert streams.taken == BOUNDS.streams_per_caller * NAMESPACE_SHARES
        with pytest.raises(ProblemError, match="All together"), streams.slot(ACCOUNTS[-1]):
            pass
        with streams.slot("ann"), streams.slot("system:serviceaccount:other:robot"):
            pass
    assert streams.taken == 0
    with streams.slot(ACCOUNTS[-1]):
        pass
