"""Authenticate callers by TokenReview.

https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web.limits.anonymous_limits import AnonymousRateLimits
from aichat_workspace.api.web.responses import problems
from aichat_workspace.kube.client import Client

_PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_ANSWER_TTL_SECONDS: Final = 10.0
_MAX_TOKENS: Final = 10_000
_MAX_TOKEN_BYTES: Final = 16 * 1024
# What a service account's token says of itself: its ID, and the pod and node that it is for.
# https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#token-volume-projection
_TOKEN_PREFIX: Final = "authentication.kubernetes.io/"  # noqa: S105  (no secret)
Identity = tuple[str, str, tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or program, as the API server knows it."""

    username: str
    """Its name."""
    uid: str
    """Its UID; empty for most authenticators."""
    groups: tuple[str, ...]
    """Its groups."""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What else the authenticator says, passed on to SubjectAccessReviews."""

    @property
    def identity(self) -> Identity:
        """What answers are kept by: the same for all tokens of one service account."""
        extra = tuple(item for item in self.extra if not item[0].startswith(_TOKEN_PREFIX))
        return self.username, self.uid, self.groups, extra


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Review bearer tokens, and keep each answer for ten seconds.

    The API server may keep its own for ten more, so a revoked token may be accepted for twenty.
    Reviews of unknown tokens are rate-limited: a flood of made-up tokens makes no flood of reviews,
    and callers with known tokens do not notice it.
    """

    client: Client
    audience: str
    """The audience that a token must have."""
    anonymous_limits: AnonymousRateLimits
    """Limits for tokens that were never accepted."""
    _answers: TtlCache[bytes, Caller | None]
    _known: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    """Hashes of tokens that were accepted, the least recently reviewed first."""

    @classmethod
    def create(
        cls, client: Client, audience: str, anonymous_limits: AnonymousRateLimits
    ) -> "Authenticator":
        """Create one without any answers."""
        return cls(client, audience, anonymous_limits, TtlCache(_ANSWER_TTL_SECONDS, _MAX_TOKENS))

    async def caller(self, token: str, address: str) -> Caller:
        """Return the caller of a token.

        Raises ProblemError: 401 for a token that is not accepted, 429 for too many unknown tokens
        from the address or overall. Raises ApiError or UnreachableError without an answer.
        """
        if not token or len(token) > _MAX_TOKEN_BYTES or not token.isascii():
            raise problems.unauthenticated("The bearer token is empty or no token at all.")
        key = hashlib.sha256(token.encode()).digest()
        caller = await self._answers.get(
            key, lambda: self._review_within_limits(key, token, address)
        )
        if caller is None:
            raise problems.unauthenticated(
                f"The token is not accepted: it has expired, was revoked, or is not for the "
                f"audience {self.audience!r}. Get a new one with `kubectl create token "
                f"SERVICE_ACCOUNT --audience {self.audience}`, or sign in again."
            )
        return caller

    async def _review_within_limits(self, key: bytes, token: str, address: str) -> Caller | None:
        if key not in self._known:
            self.anonymous_limits.take(address)
        caller = await self._review(token)
        self._known.pop(key, None)
        if caller is not None:
            self.anonymous_limits.known.add(address)
            self._known[key] = None
            if len(self._known) > _MAX_TOKENS:
                self._known.popitem(last=False)
        return caller

    async def _review(self, token: str) -> Caller | None:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self.audience]},
        }
        status: dict[str, Any] = (await self.client.review(_PATH, body)).get("status") or {}
        if not status.get("authenticated") or self.audience not in (status.get("audiences") or ()):
            return None
        user = status.get("user") or {}
        return Caller(
            username=user.get("username", ""),
            uid=user.get("uid", ""),
            groups=tuple(user.get("groups") or ()),
            extra=tuple(
                (key, tuple(values)) for key, values in sorted((user.get("extra") or {}).items())
            ),
        )
