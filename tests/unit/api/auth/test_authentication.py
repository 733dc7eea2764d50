from dataclasses import replace

import pytest

from aichat_workspace.api.auth.authentication import Authenticator, Caller
from aichat_workspace.api.web.limits.anonymous_limits import AnonymousRateLimits, KnownAddresses
from aichat_workspace.api.web.responses.problems import ProblemError
from tests.fakes.reviews import FakeReviews
from tests.unit.api.clock import FakeClock

AUDIENCE = "aichat-workspace-api"
FLOOD, HOME = "203.0.113.7", "198.51.100.1"


def token_reviews() -> FakeReviews:
    """Return reviews that accept tokens which begin with `good`."""
    return FakeReviews(user=lambda token: {"username": "ann"} if token[:4] == "good" else None)


def create_authenticator(reviews: FakeReviews) -> Authenticator:
    clock = FakeClock()
    limits = AnonymousRateLimits.create(50, 500, KnownAddresses(clock), clock)
    return Authenticator.create(reviews, AUDIENCE, limits)


async def status_of(authenticator: Authenticator, token: str, address: str) -> int:
    try:
        await authenticator.caller(token, address)
    except ProblemError as problem:
        return problem.status
    return 200


async def flood(authenticator: Authenticator, address: str) -> None:
    """Send more made-up tokens than the limits allow."""
    statuses = [await status_of(authenticator, f"made-up-{n}", address) for n in range(1_000)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


async def test_a_flood_of_tokens_blocks_unknown_callers_of_its_address_only() -> None:
    reviews = token_reviews()
    authenticator = create_authenticator(reviews)
    await flood(authenticator, FLOOD)
    assert await status_of(authenticator, "good", HOME) == 200
    assert await status_of(authenticator, "good-too", FLOOD) == 429


async def test_a_known_caller_is_not_blocked_by_a_flood_from_the_same_address() -> None:
    authenticator = create_authenticator(token_reviews())
    assert await status_of(authenticator, "good", FLOOD) == 200
    await flood(authenticator, FLOOD)
    authenticator._answers._answers.clear()
    assert await status_of(authenticator, "good", FLOOD) == 200


async def test_reviews_of_unknown_tokens_are_limited_over_all_addresses() -> None:
    reviews = token_reviews()
    authenticator = create_authenticator(reviews)
    for n in range(1_000):
        await status_of(authenticator, f"made-up-{n}", f"203.0.{n % 100}.1")
    assert len(reviews.tokens) == 500


async def test_an_address_with_an_accepted_token_gets_new_ones_reviewed_during_a_flood() -> None:
    authenticator = create_authenticator(token_reviews())
    assert await status_of(authenticator, "good", HOME) == 200
    for n in range(1_000):
        await status_of(authenticator, f"made-up-{n}", f"203.0.{n % 100}.1")
    assert await status_of(authenticator, "good-too", "192.0.2.1") == 429
    assert await status_of(authenticator, "good-too", HOME) == 200


def test_all_tokens_of_a_service_account_have_one_identity() -> None:
    first, second = (
        Caller(
            "system:serviceaccount:team:robot",
            "uid",
            ("system:authenticated",),
            (
                ("authentication.kubernetes.io/credential-id", (f"JTI={token}",)),
                ("authentication.kubernetes.io/pod-name", (f"pod-{token}",)),
                ("example.org/scopes", ("all",)),
            ),
        )
        for token in range(2)
    )
    assert first != second
    assert first.identity == second.identity
    assert replace(first, extra=()).identity != first.identity


async def test_a_token_that_is_not_accepted_is_401() -> None:
    with pytest.raises(ProblemError) as raised:
        await create_authenticator(token_reviews()).caller("bad", HOME)
    assert raised.value.status == 401
