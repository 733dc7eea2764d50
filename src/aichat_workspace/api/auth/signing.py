"""What the API signs, and the key that all its replicas share.

The key is a Secret of the system namespace that the operator makes. It is read when first needed
and again after a minute, so a deleted one is followed by its successor; nothing else is stored.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from itsdangerous import BadSignature, TimestampSigner

from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ForbiddenError, NotFoundError

_SECRET: Final = kinds.SECRET
_FRESH_SECONDS: Final = 60.0
_KEY_BYTES: Final = 32
_SKEW_SECONDS: Final = 60  # as far may the replicas' clocks be apart
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SignedValue:
    """What was sealed, and when, in seconds since 1970."""

    text: str
    sealed_at: int


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs texts. What was sealed for one purpose does not open for another."""

    key: bytes = field(repr=False)
    clock: Callable[[], float] = time.time

    def sign(self, purpose: str, text: str) -> str:
        """The text, the time and a signature; the text stays readable."""
        return self._signer(purpose).sign(text).decode()

    def verify(self, purpose: str, sealed: str, most_seconds: int) -> SignedValue | None:
        """None for what was not sealed by this key, for something else, or too long ago."""
        try:
            text, at = self._signer(purpose).unsign(sealed, return_timestamp=True)
        except BadSignature:
            return None
        sealed_at = int(at.timestamp())
        age = self.clock() - sealed_at
        if not -_SKEW_SECONDS <= age < most_seconds:
            return None
        return SignedValue(text.decode(), sealed_at)

    def mark(self, purpose: str, text: str) -> str:
        """A mark that only this key makes of this text (HMAC-SHA256)."""
        key = hmac.digest(self.key, purpose.encode(), "sha256")
        return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).decode()

    def _signer(self, purpose: str) -> TimestampSigner:
        return _Signer(self, purpose)


class _Signer(TimestampSigner):
    def __init__(self, seal: Signer, purpose: str) -> None:
        super().__init__(
            seal.key, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256
        )
        self._clock = seal.clock

    def get_timestamp(self) -> int:
        return int(self._clock())


@dataclass(frozen=True, slots=True)
class Keys:
    """Reads the key. On a laptop without the Secret it is one of this process's own."""

    client: Client
    dev: bool
    _read: TtlCache[str, bytes] = field(default_factory=lambda: TtlCache(_FRESH_SECONDS, 1))
    _own: bytes = field(default_factory=lambda: secrets.token_bytes(_KEY_BYTES), repr=False)

    async def seal(self) -> Signer:
        """Raises ProblemError (503) when there is no key, ApiError or UnreachableError when nobody
        says."""
        return Signer(await self._read.get(names.API_SESSION, self._key))

    async def _key(self) -> bytes:
        try:
            found = await self.client.get(_SECRET, names.API_SESSION, names.SYSTEM_NAMESPACE)
        except (NotFoundError, ForbiddenError) as error:
            if self.dev:
                return self._own
            raise _no_key(_WHY[type(error)]) from error
        key = base64.b64decode((found.get("data") or {}).get(names.SESSION_KEY) or "")
        if len(key) < _KEY_BYTES:
            raise _no_key("holds no key. Delete it, and the operator makes it anew")
        return key


_WHY: Final[dict[type, str]] = {
    NotFoundError: "is missing. The operator makes it: see that it runs, then try again",
    ForbiddenError: "may not be read by the API's account. The platform team should apply "
    "config/default again",
}


def _no_key(why: str) -> ProblemError:
    detail = f"Secret {names.SYSTEM_NAMESPACE}/{names.API_SESSION}, which signs sessions, {why}."
    _log.error("no key for sessions", detail=detail)
    return problems.unavailable(f"{detail} Bearer tokens work meanwhile.", "no-session-key")
