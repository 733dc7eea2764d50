from typing import Any

import pytest

from aichat_workspace.api.auth.authentication import Authenticator
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.web.rate_limits import AnonymousRateLimits
from aichat_workspace.kube.client import Client
from tests.unit.api.web.test_rate_limits import Clock

AUDIENCE = "aichat-workspace-api"
FLOOD, HOME = "203.0.113.7", "198.51.100.1"


class Reviews(Client):
    """Knows tokens that begin with `good`."""

    def __init__(self) -> None:
        self.count = 0

    async def review(self, path: str, body: Any) -> Any:
        assert path.endswith("/tokenreviews")
        self.count += 1
        good = body["spec"]["token"].startswith("good")
        user = {"username": "ann"}
        return {"status": {"authenticated": good, "audiences": [AUDIENCE], "user": user}}


def authenticator(reviews: Reviews) -> Authenticator:
    return Authenticator.create(reviews, AUDIENCE, AnonymousRateLimits.create(50, 500, Clock()))


async def status_of(who: Authenticator, token: str, address: str) -> int:
    try:
        await who.caller(token, address)
    except ProblemError as problem:
        return problem.status
    return 200


async def flooded(who: Authenticator, address: str) -> None:
    """With more made-up tokens than anybody may send."""
    told = [await status_of(who, f"made-up-{n}", address) for n in range(1_000)]
    assert told[0] == 401
    assert told[-1] == 429


async def test_who_floods_keeps_newcomers_of_his_own_address_out_and_nobody_elses() -> None:
    reviews = Reviews()
    who = authenticator(reviews)
    await flooded(who, FLOOD)
    assert await status_of(who, "good", HOME) == 200
    assert await status_of(who, "good-too", FLOOD) == 429


async def test_a_known_caller_does_not_notice_a_flood_from_his_address() -> None:
    who = authenticator(Reviews())
    assert await status_of(who, "good", FLOOD) == 200
    await flooded(who, FLOOD)
    who._answers._answers.clear()
    assert await status_of(who, "good", FLOOD) == 200


async def test_from_however_many_addresses_reviews_are_bounded() -> None:
    reviews = Reviews()
    who = authenticator(reviews)
    for n in range(1_000):
        await status_of(who, f"made-up-{n}", f"203.0.113.{n % 100}")
    assert reviews.count == 500


async def test_a_token_for_somebody_else_is_nobodys() -> None:
    with pytest.raises(ProblemError) as raised:
        await authenticator(Reviews()).caller("bad", HOME)
    assert raised.value.status == 401
