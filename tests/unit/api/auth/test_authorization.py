"""Access reviews: which are made, and how many at the same time."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest, Authorizer
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.kube.client import Client
from tests.unit.waiting import turns

ANN, BOB = Caller("ann", "1", ()), Caller("bob", "2", ())
TEAMS = [f"team-{number:02}" for number in range(50)]


@dataclass
class FakeAccessReviews(Client):
    """Allows requests in the first team only; answers once `answering` is set."""

    answering: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[tuple[str, str]] = field(default_factory=list)

    async def review(self, _: str, body: Any) -> Any:
        spec = body["spec"]
        team = spec["resourceAttributes"].get("namespace", "")
        self.requests.append((spec["user"], team))
        await self.answering.wait()
        return {"status": {"allowed": team == TEAMS[0]}}

    def count(self, caller: Caller) -> int:
        return sum(user == caller.username for user, _ in self.requests)


@pytest.fixture
def reviews() -> FakeAccessReviews:
    return FakeAccessReviews()


async def test_a_cached_scope_makes_no_review_and_no_task(
    reviews: FakeAccessReviews, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews.answering.set()
    authorizer = Authorizer.create(reviews)
    first = await authorizer.scope(ANN, "watch", lambda: TEAMS)
    assert first.teams == {TEAMS[0]}
    assert len(reviews.requests) == 1 + len(TEAMS)

    def no_task(*_: object, **__: object) -> None:
        raise AssertionError("a task was made")

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "create_task", no_task)
        assert await authorizer.scope(ANN, "watch", lambda: TEAMS) == first
    assert len(reviews.requests) == 1 + len(TEAMS)


async def test_a_new_team_is_reviewed_alone(reviews: FakeAccessReviews) -> None:
    reviews.answering.set()
    authorizer = Authorizer.create(reviews)
    await authorizer.scope(ANN, "watch", lambda: TEAMS)
    reviews.requests.clear()
    await authorizer.scope(ANN, "watch", lambda: [*TEAMS, "new"])
    assert reviews.requests == [("ann", "new")]


async def test_scopes_keep_a_refusal_for_half_a_minute_and_requests_for_ten_seconds(
    reviews: FakeAccessReviews,
) -> None:
    now = 0.0
    reviews.answering.set()
    authorizer = Authorizer(reviews, TtlCache(10.0, 1000, lambda: now), asyncio.Semaphore(32))
    await authorizer.scope(ANN, "watch", lambda: TEAMS)
    reviews.requests.clear()
    now = 11.0
    assert (await authorizer.scope(ANN, "watch", lambda: TEAMS)).teams == {TEAMS[0]}
    assert reviews.requests == [("ann", ""), ("ann", TEAMS[0])], (
        "permissions, and the one for all teams, are reviewed again"
    )
    assert not await authorizer.allows(ANN, AccessRequest("watch", TEAMS[1]))
    assert reviews.requests[-1] == ("ann", TEAMS[1]), (
        "a request does not use the scope's old refusal"
    )
    reviews.requests.clear()
    now = 31.0
    await authorizer.scope(ANN, "watch", lambda: TEAMS)
    assert ("ann", TEAMS[2]) in reviews.requests


async def test_answers_are_in_the_order_of_the_requests(reviews: FakeAccessReviews) -> None:
    reviews.answering.set()
    requests = [AccessRequest("get", team) for team in (TEAMS[1], TEAMS[0], TEAMS[2])]
    assert await Authorizer.create(reviews).allows_each(ANN, requests) == [False, True, False]


async def test_many_reviews_of_one_caller_do_not_delay_another_caller(
    reviews: FakeAccessReviews,
) -> None:
    authorizer = Authorizer.create(reviews)
    many = asyncio.create_task(
        authorizer.allows_each(ANN, [AccessRequest("get", team) for team in TEAMS])
    )
    await turns()
    one_more = asyncio.create_task(authorizer.allows(BOB, AccessRequest("get", TEAMS[0])))
    await turns()
    assert (reviews.count(ANN), reviews.count(BOB)) == (8, 1)
    reviews.answering.set()
    assert await one_more
    assert sum(await many) == 1
    assert reviews.count(ANN) == len(TEAMS)
