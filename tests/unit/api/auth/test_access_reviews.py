import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from aichat_workspace.api.auth.access_reviews import REVIEWERS, AccessRequest, AccessReviews
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.web.limits.rate_limits import RateLimits
from aichat_workspace.api.web.responses.problems import ProblemError
from tests.fakes.reviews import FakeReviews, Object
from tests.unit.api.clock import FakeClock
from tests.unit.waiting import turns

ANN, BOB = Caller("ann", "1", ()), Caller("bob", "2", ())


@dataclass
class SlowReviews(FakeReviews):
    """Allows everything once `answering` is set, and denies the verb `denied`."""

    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def review(self, path: str, body: Object) -> Any:
        answer = await super().review(path, body)
        await self.answering.wait()
        answer["status"]["denied"] = self.reviews[-1]["verb"] == "denied"
        return answer

    def count(self, caller: Caller) -> int:
        return sum(spec["user"] == caller.username for spec in self.specs)


def robot(token: int) -> Caller:
    """Return a service account as one of its tokens says it."""
    extra = (("authentication.kubernetes.io/credential-id", (f"JTI={token}",)),)
    return Caller("system:serviceaccount:team:robot", "uid", (), extra)


async def test_a_review_sends_the_caller_and_the_request_without_what_the_caller_wrote() -> None:
    client = SlowReviews()
    client.answering.set()
    reviews = AccessReviews(client, RateLimits.create(10, 10))
    request = AccessRequest("get", "team", "chat", "log", address=(None, "chat"))
    assert await reviews.review(robot(1), request)
    (spec,) = client.specs
    assert spec["extra"] == {"authentication.kubernetes.io/credential-id": ["JTI=1"]}
    assert spec["resourceAttributes"] == {
        "group": "apps.aichatworkspaces.io",
        "version": "v1alpha1",
        "resource": "aichatworkspaces",
        "verb": "get",
        "namespace": "team",
        "name": "chat",
        "subresource": "log",
    }
    assert not await reviews.review(ANN, AccessRequest("denied"))


async def test_reviews_are_limited_per_account_whichever_of_its_tokens_it_uses() -> None:
    client = SlowReviews()
    client.answering.set()
    reviews = AccessReviews(client, RateLimits.create(1, 3, FakeClock(), "Too many answers."))
    for token in range(3):
        await reviews.review(robot(token), AccessRequest("get"))
    with pytest.raises(ProblemError, match="Too many answers") as raised:
        await reviews.review(robot(4), AccessRequest("get"))
    assert (raised.value.status, raised.value.retry_after_seconds) == (429, 1)
    assert len(client.specs) == 3
    assert await reviews.review(ANN, AccessRequest("get"))


async def test_many_callers_with_many_reviews_do_not_delay_a_single_one() -> None:
    client = SlowReviews()
    reviews = AccessReviews(client, RateLimits.create(1e6, 10**6))
    waiting = [
        asyncio.create_task(
            reviews.review(
                Caller(f"eve-{n % 20}", "", ()), AccessRequest("list"), is_one_of_many=True
            )
        )
        for n in range(400)
    ]
    await turns()
    assert len(client.specs) == 16
    waiting.append(asyncio.create_task(reviews.review(BOB, AccessRequest("get"))))
    await turns()
    assert client.count(BOB) == 1
    client.answering.set()
    assert all(await asyncio.gather(*waiting))


async def test_many_reviews_of_one_caller_do_not_delay_another_caller() -> None:
    client = SlowReviews()
    reviews = AccessReviews(client, RateLimits.create(1e6, 10**6))
    waiting = [
        asyncio.create_task(reviews.review(ANN, AccessRequest("get", str(n)))) for n in range(50)
    ]
    await turns()
    waiting.append(asyncio.create_task(reviews.review(BOB, AccessRequest("get"))))
    await turns()
    assert (client.count(ANN), client.count(BOB)) == (REVIEWERS, 1)
    client.answering.set()
    assert all(await asyncio.gather(*waiting))
