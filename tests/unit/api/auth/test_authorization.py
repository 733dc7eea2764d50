"""What callers are told, and by which reviews."""

import pytest

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest, Authorizer, Scope
from aichat_workspace.api.web.limits.rate_limits import RateLimits
from aichat_workspace.api.web.responses.problems import ProblemError
from tests.fakes.reviews import FakeReviews, Object

ANN = Caller("ann", "1", ())
TEAMS = [f"team-{number:02}" for number in range(50)]
CREDENTIAL = "authentication.kubernetes.io/credential-id"


@pytest.fixture
def client() -> FakeReviews:
    """Allows requests in the first team only, and everything to group `all`."""

    def allows(attributes: Object) -> bool:
        return attributes.get("namespace") == TEAMS[0] or "all" in reviews.specs[-1]["groups"]

    reviews = FakeReviews(allows=allows)
    return reviews


@pytest.fixture
def authorizer(client: FakeReviews) -> Authorizer:
    return Authorizer.create(client, RateLimits.create(1e6, 10**6))


async def test_a_scope_takes_one_review_per_team_and_one_for_all(
    client: FakeReviews, authorizer: Authorizer
) -> None:
    for _ in range(2):
        scope = await authorizer.scope(ANN, "watch", lambda: TEAMS)
        assert scope == Scope(everywhere=False, teams=frozenset(TEAMS[:1]))
        assert len(client.reviews) == 1 + len(TEAMS)


async def test_a_scope_everywhere_takes_one_review(
    client: FakeReviews, authorizer: Authorizer
) -> None:
    scope = await authorizer.scope(Caller("root", "", ("all",)), "watch", lambda: TEAMS)
    assert scope == Scope(everywhere=True)
    assert len(client.reviews) == 1


async def test_the_tokens_of_one_account_share_all_answers(
    client: FakeReviews, authorizer: Authorizer
) -> None:
    for token in range(150):
        caller = Caller("system:serviceaccount:a:b", "1", (), ((CREDENTIAL, (str(token),)),))
        await authorizer.scope(caller, "list", lambda: TEAMS)
        assert not await authorizer.allows(caller, AccessRequest("get", TEAMS[1], "chat"))
    assert len(client.reviews) == 2 + len(TEAMS)


async def test_a_request_does_not_use_the_scopes_older_refusal(
    client: FakeReviews, authorizer: Authorizer
) -> None:
    await authorizer.scope(ANN, "watch", lambda: TEAMS)
    client.reviews.clear()
    assert not await authorizer.allows(ANN, AccessRequest("watch", TEAMS[1]))
    assert len(client.reviews) == 1


async def test_answers_are_in_the_order_of_the_requests(authorizer: Authorizer) -> None:
    requests = [AccessRequest("get", team) for team in (TEAMS[1], TEAMS[0], TEAMS[2])]
    assert await authorizer.allows_each(ANN, requests) == [False, True, False]


@pytest.mark.parametrize(("team", "status"), [(TEAMS[1], 404), (TEAMS[0], 200)])
async def test_a_refusal_is_404_for_a_caller_who_may_not_see_the_workspace(
    authorizer: Authorizer, team: str, status: int
) -> None:
    request = AccessRequest("delete", team, "chat")
    if status == 200:
        await authorizer.require(ANN, request, "chat")
        return
    with pytest.raises(ProblemError) as raised:
        await authorizer.require(ANN, request, "chat")
    assert raised.value.status == status
