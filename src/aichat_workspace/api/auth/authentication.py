"""Who calls: Kubernetes says, by TokenReview.

https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.rate_limits import AnonymousRateLimits
from aichat_workspace.kube.client import Client

_PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_FRESH_SECONDS: Final = 10.0
_MOST: Final = 10_000
_MAX_TOKEN_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or program, as the API server knows it."""

    username: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Asks the API server who a bearer token is, and believes the answer for ten seconds; the API
    server may have known it for ten more. So long may a revoked token still be good. Tokens that
    were never good are asked for as often as strangers may ask: a flood of made-up ones is no flood
    of reviews, and known callers do not notice."""

    client: Client
    audience: str
    strangers: AnonymousRateLimits
    _answers: TtlCache[bytes, Caller | None]
    _good: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    @classmethod
    def of(cls, client: Client, audience: str, strangers: AnonymousRateLimits) -> "Authenticator":
        return cls(client, audience, strangers, TtlCache(_FRESH_SECONDS, _MOST))

    async def caller(self, token: str, address: str) -> Caller:
        """Raises ProblemError: 401 for a token that is not good, 429 when too many unknown ones
        come from the address or at all; ApiError or UnreachableError when nobody says."""
        if not token or len(token) > _MAX_TOKEN_BYTES or not token.isascii():
            raise problems.unauthenticated("The bearer token is empty or no token at all.")
        key = hashlib.sha256(token.encode()).digest()
        found = await self._answers.get(key, lambda: self._first_or_again(key, token, address))
        if found is None:
            raise problems.unauthenticated(
                f"The token is not accepted: it has expired, was revoked, or is not for the "
                f"audience {self.audience!r}. Get a new one with `kubectl create token "
                f"SERVICE_ACCOUNT --audience {self.audience}`, or sign in again."
            )
        return found

    async def _first_or_again(self, key: bytes, token: str, address: str) -> Caller | None:
        if key not in self._good:
            self.strangers.take(address)
        found = await self._review(token)
        self._good.pop(key, None)
        if found is not None:
            self._good[key] = None
            if len(self._good) > _MOST:
                self._good.popitem(last=False)
        return found

    async def _review(self, token: str) -> Caller | None:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self.audience]},
        }
        told: dict[str, Any] = (await self.client.review(_PATH, body)).get("status") or {}
        if not told.get("authenticated") or self.audience not in (told.get("audiences") or ()):
            return None
        user = told.get("user") or {}
        return Caller(
            username=user.get("username", ""),
            uid=user.get("uid", ""),
            groups=tuple(user.get("groups") or ()),
            extra=tuple(
                (key, tuple(each)) for key, each in sorted((user.get("extra") or {}).items())
            ),
        )
