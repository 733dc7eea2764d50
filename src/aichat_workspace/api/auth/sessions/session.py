"""A browser's session: the person's own tokens, encrypted, in the browser's cookies.

Any replica can read the cookies, and the token is reviewed as if it had come in a header. A session
that holds a refresh token is renewed until its end (`renewals`); any other ends with its token.
"""

import hmac
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Final

import orjson

from aichat_workspace.api.auth.sessions.encryption import Cipher
from aichat_workspace.api.web.requests.own_site import SAFE_METHODS
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.foundation.tokens import expiry

CSRF_HEADER: Final = "X-CSRF-Token"
_SESSION: Final = "session"
_CSRF: Final = "csrf"
_RENEWED_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's session. Times are in seconds since 1970."""

    id: str
    """Names the session over all its renewals."""
    token: str = field(repr=False)
    """The token that the person signed in with, or its renewal."""
    token_since: int
    """When the API got the token."""
    ends_at: int
    """When the session ends, renewed or not."""
    refresh_token: str | None = field(default=None, repr=False)
    """What the identity provider renews the token for; None if it gave none, or refused it."""
    generation: int = 0
    """Counts the states of the session, from the first one on."""


def start(token: str, refresh_token: str | None, now: float, max_seconds: int) -> Session:
    """Start a session of `max_seconds`; without a refresh token it ends with its token."""
    ends_at = int(now) + max_seconds
    if refresh_token is None:
        ends_at = min(ends_at, expiry(token) or ends_at)
    return Session(secrets.token_urlsafe(16), token, int(now), ends_at, refresh_token)


def is_due(session: Session, now: float) -> bool:
    """Return whether the token should be renewed: a quarter of its life is left, or less."""
    expires_at = expiry(session.token)
    if session.refresh_token is None or expires_at is None:
        return False
    return now >= expires_at - (expires_at - session.token_since) * _RENEWED_SHARE


def is_over(session: Session, now: float) -> bool:
    """Return whether the session or its token has ended."""
    return now >= min(session.ends_at, expiry(session.token) or session.ends_at)


def newer(first: Session, second: Session) -> Session:
    """Return the later one of two states of a session: of all, that in which it was ended."""
    return max(first, second, key=lambda state: (-state.ends_at, state.generation))


def ended(session: Session, now: float) -> Session:
    """Return the session's next state, in which it is over."""
    ends_at = min(session.ends_at, int(now))
    return replace(session, ends_at=ends_at, refresh_token=None, generation=session.generation + 1)


def encrypt(cipher: Cipher, session: Session) -> str:
    """Return the session as text that only the API's replicas can read."""
    return cipher.encrypt(_SESSION, zlib.compress(orjson.dumps(asdict(session)), level=9))


def decrypt(cipher: Cipher, text: str) -> Session | None:
    """Return None for a text that is not by us, or by a former key."""
    value = cipher.decrypt(_SESSION, text)
    return None if value is None else Session(**orjson.loads(zlib.decompress(value)))


def csrf_token(cipher: Cipher, session: Session) -> str:
    """Return what a change must send in X-CSRF-Token; renewals do not change it."""
    return cipher.mac(_CSRF, session.id)


def require_csrf_token(
    method: str, headers: Mapping[str, str], cipher: Cipher, session: Session
) -> None:
    """Raise ProblemError (403) for a change without the session's CSRF token.

    https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
    """
    if method in SAFE_METHODS:
        return
    right, given = csrf_token(cipher, session), headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), right.encode()):
        raise ProblemError(
            403,
            "csrf-token",
            f"Changes in a browser's session need the header {CSRF_HEADER} with the session's "
            "csrfToken: GET /api/v1/session tells it. Programs send a bearer token instead.",
        )
