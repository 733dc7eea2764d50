"""What the API relies on of reviews: the real API server and the tests' fake have to keep it."""

from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.api.auth.access_reviews import AccessRequest, AccessReviews
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.web.limits.rate_limits import RateLimits
from aichat_workspace.kube.client import Client

AUDIENCE: Final = "aichat-workspace-api"
_TOKENS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_GET: Final = AccessRequest("get", "team", "chat")


@dataclass(frozen=True)
class KnownToken:
    """A token for AUDIENCE."""

    text: str
    username: str


class ReviewsContract:
    """Has to be given the fixtures `client` and `token`. Group system:masters may do everything, a
    user without a group nothing."""

    async def test_a_token_for_the_audience_is_its_users(
        self, client: Client, token: KnownToken
    ) -> None:
        status = await _status(client, token.text)
        assert status["authenticated"] is True
        assert status["audiences"] == [AUDIENCE]
        assert status["user"]["username"] == token.username

    async def test_a_token_that_is_none_is_nobodys(self, client: Client) -> None:
        status = await _status(client, "made-up")
        assert not status.get("authenticated")
        assert not status.get("audiences")
        assert "username" not in status["user"]
        assert status["error"]

    async def test_who_has_the_right_is_allowed(self, client: Client) -> None:
        assert await _reviews(client).review(Caller("ann", "1", ("system:masters",)), _GET)

    async def test_who_has_no_right_is_not_allowed(self, client: Client) -> None:
        assert not await _reviews(client).review(Caller("ann", "1", ()), _GET)


def _reviews(client: Client) -> AccessReviews:
    return AccessReviews(client, RateLimits.create(10, 10))


async def _status(client: Client, token: str) -> dict[str, Any]:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [AUDIENCE]},
    }
    status: dict[str, Any] = (await client.review(_TOKENS, body))["status"]
    return status
