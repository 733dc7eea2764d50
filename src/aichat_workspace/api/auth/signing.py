"""Signed values, and the key that all replicas share.

The operator creates the key as a Secret of the system namespace. The API reads it when first needed
and again after a minute, so it notices when the Secret was replaced.
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
_KEY_TTL_SECONDS: Final = 60.0
_KEY_BYTES: Final = 32
_SKEW_SECONDS: Final = 60  # how far the replicas' clocks may be apart
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SignedValue:
    """A value whose signature was verified."""

    text: str
    """The value."""
    signed_at: int
    """When it was signed, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs texts, each for one purpose: a signature for one is invalid for another."""

    key: bytes = field(repr=False)
    clock: Callable[[], float] = time.time

    def sign(self, purpose: str, text: str) -> str:
        """Return the text, the time and a signature. The text stays readable."""
        return self._signer(purpose).sign(text).decode()

    def verify(self, purpose: str, signed: str, max_seconds: int) -> SignedValue | None:
        """Return None for another key's signature, another purpose, or one that is too old."""
        try:
            text, signed_time = self._signer(purpose).unsign(signed, return_timestamp=True)
        except BadSignature:
            return None
        signed_at = int(signed_time.timestamp())
        age = self.clock() - signed_at
        if not -_SKEW_SECONDS <= age < max_seconds:
            return None
        return SignedValue(text.decode(), signed_at)

    def mac(self, purpose: str, text: str) -> str:
        """Return the text's message authentication code (HMAC-SHA256)."""
        key = hmac.digest(self.key, purpose.encode(), "sha256")
        return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).decode()

    def _signer(self, purpose: str) -> TimestampSigner:
        return _Signer(self, purpose)


class _Signer(TimestampSigner):
    def __init__(self, signer: Signer, purpose: str) -> None:
        super().__init__(
            signer.key, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256
        )
        self._clock = signer.clock

    def get_timestamp(self) -> int:
        return int(self._clock())


@dataclass(frozen=True, slots=True)
class Keys:
    """Reads the key from its Secret."""

    client: Client
    dev: bool
    """On a laptop: without the Secret, this process uses a key of its own."""
    _read: TtlCache[str, bytes] = field(default_factory=lambda: TtlCache(_KEY_TTL_SECONDS, 1))
    _own: bytes = field(default_factory=lambda: secrets.token_bytes(_KEY_BYTES), repr=False)

    async def signer(self) -> Signer:
        """Return the signer. Raises ProblemError (503) without a key.

        Raises ApiError or UnreachableError without an answer.
        """
        return Signer(await self._read.get(names.API_SESSION, self._key))

    async def _key(self) -> bytes:
        try:
            secret = await self.client.get(_SECRET, names.API_SESSION, names.SYSTEM_NAMESPACE)
        except (NotFoundError, ForbiddenError) as error:
            if self.dev:
                return self._own
            raise _no_key(_REASONS[type(error)]) from error
        key = base64.b64decode((secret.get("data") or {}).get(names.SESSION_KEY) or "")
        if len(key) < _KEY_BYTES:
            raise _no_key("holds no key. Delete it, and the operator makes it again")
        return key


_REASONS: Final[dict[type, str]] = {
    NotFoundError: "is missing. The operator makes it: see that it runs, then try again",
    ForbiddenError: "may not be read by the API's account. The platform team should apply "
    "config/default again",
}


def _no_key(reason: str) -> ProblemError:
    detail = f"Secret {names.SYSTEM_NAMESPACE}/{names.API_SESSION}, which signs sessions, {reason}."
    _log.error("no key for sessions", detail=detail)
    return problems.unavailable(f"{detail} Bearer tokens work meanwhile.", "no-session-key")
