"""One sign-in with the identity provider under way, kept by its browser in an encrypted cookie."""

import secrets
from dataclasses import asdict, dataclass, field
from typing import Final, Self

import orjson

from aichat_workspace.api.auth.sessions.encryption import Cipher

ATTEMPT_SECONDS: Final = 600
_ATTEMPT: Final = "sign-in"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in under way."""

    state: str
    """Comes back from the provider with the browser."""
    nonce: str
    """Comes back in the token."""
    verifier: str = field(repr=False)
    """Goes to the provider's token endpoint (RFC 7636)."""
    next_path: str
    """Where the browser goes after signing in."""
    began_at: int
    """When the sign-in began, in seconds since 1970."""

    @classmethod
    def begin(cls, next_path: str, now: float) -> Self:
        """Create one from the operating system's randomness."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, next_path, int(now))

    def to_cookie(self, cipher: Cipher) -> str:
        """Return the encrypted cookie."""
        return cipher.encrypt(_ATTEMPT, orjson.dumps(asdict(self)))

    @classmethod
    def from_cookie(cls, cipher: Cipher, cookie: str, now: float) -> Self | None:
        """Return None if the attempt expired or was not issued by us."""
        value = cipher.decrypt(_ATTEMPT, cookie)
        attempt = None if value is None else cls(**orjson.loads(value))
        return attempt if attempt and now < attempt.began_at + ATTEMPT_SECONDS else None
