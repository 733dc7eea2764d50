"""What the API server says of tokens and of what callers may do.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#tokenreview
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aichat_workspace.kube.client import Client

Object = dict[str, Any]


@dataclass
class FakeReviews(Client):
    """Answers reviews, and keeps what was asked. A token is its user's name, unless `user` says
    otherwise."""

    allows: Callable[[Object], bool] = lambda _: True
    """Decides by an access review's resource attributes."""
    user: Callable[[str], Object | None] = lambda token: {"username": token, "uid": "1"}
    """Return a token's user; None for a token that is not accepted."""
    reviews: list[Object] = field(default_factory=list)
    """The resource attributes of all access reviews."""
    specs: list[Object] = field(default_factory=list)
    """The same with the callers that they are about."""
    tokens: list[str] = field(default_factory=list)
    """The tokens of all token reviews."""

    async def review(self, path: str, body: Object) -> Any:
        assert path
        return self.answer(body)

    def answer(self, body: Object) -> Object:
        """Return what the API server says to a review."""
        spec = body["spec"]
        if body["kind"] == "TokenReview":
            self.tokens.append(spec["token"])
            user = self.user(spec["token"])
            if user is None:
                return {"status": {"user": {}, "error": "invalid bearer token"}}
            audiences = spec["audiences"]
            return {"status": {"authenticated": True, "user": user, "audiences": audiences}}
        assert body["kind"] == "SubjectAccessReview", body["kind"]
        self.reviews.append(spec["resourceAttributes"])
        self.specs.append(spec)
        return {"status": {"allowed": self.allows(spec["resourceAttributes"])}}
