"""A browser's session: a signed cookie that carries the person's own token.

Nothing of it is kept on the server, so any replica knows it, and the token is reviewed as if it had
come in a header. Signing out takes the cookie from the browser; to take its worth from a copy,
revoke the token.

A cookie comes along whoever makes the browser ask. So what changes something needs a header that
other sites can't know, and other sites' requests are refused, those of sibling hosts too: tenants'
chats live there. https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.responses import Response

from aichat_workspace.api.auth.signing import Signer
from aichat_workspace.api.web.problems import ProblemError

CSRF_HEADER: Final = "X-CSRF-Token"
MOST_SECONDS: Final = 8 * 3600
# Browsers keep 4096 bytes of a cookie (RFC 6265 6.1); its name and attributes take some.
MOST_VALUE_BYTES: Final = 3_900
_SESSION: Final = "session"
_CSRF: Final = "csrf"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Session:
    """Who signed in, by the token, until when in seconds since 1970, and what a change must send
    in X-CSRF-Token."""

    token: str
    ends: int
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Cookies:
    """How the browser is told to keep what it brings back. With TLS no other host can set one of
    these names. https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix
    """

    secure: bool

    @property
    def session(self) -> str:
        return self._name("aichat-session")

    @property
    def sign_ins(self) -> str:
        """How the names of all sign-ins under way begin."""
        return self._name("aichat-sign-in-")

    def sign_in(self, state: str) -> str:
        """Each has a name of its own, so that one tab's does not replace another's."""
        return self.sign_ins + hashlib.sha256(state.encode()).hexdigest()[:16]

    def put(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name, value, seconds, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def clear(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name


class TokenTooLargeError(ValueError):
    """The token does not fit into a cookie; the message says what to do."""


def sealed(seal: Signer, token: str) -> str:
    """The cookie for a token. Raises TokenTooLargeError."""
    cookie = seal.sign(_SESSION, token)
    if len(cookie) > MOST_VALUE_BYTES:
        raise TokenTooLargeError(
            f"The token has {len(token)} bytes, which is more than a browser's cookie holds. Have "
            "the identity provider put fewer claims into it (a long list of groups, most often), "
            "or send it in the Authorization header instead of signing in."
        )
    return cookie


def opened(seal: Signer, cookie: str) -> Session | None:
    """The session that a cookie holds; None when it has ended or is none of ours."""
    found = seal.verify(_SESSION, cookie, MOST_SECONDS)
    if found is None:
        return None
    return Session(found.text, found.sealed_at + MOST_SECONDS, seal.mark(_CSRF, cookie))


def claims(token: str) -> Mapping[str, Any]:
    """What a JSON Web Token says, unverified: ask only after a TokenReview. Empty for a token of
    another kind."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def expires(session: Session) -> int:
    """When the session ends or its token expires, in seconds since 1970."""
    said = claims(session.token).get("exp")
    return min(session.ends, int(said)) if isinstance(said, int | float) else session.ends


def require_csrf_token(method: str, headers: Mapping[str, str], session: Session) -> None:
    """Raises ProblemError (403) for a change that does not bring the session's own token."""
    if method in _SAFE:
        return
    brought = headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(brought.encode(), session.csrf_token.encode()):
        raise ProblemError(
            403,
            "csrf-token",
            f"Changes in a browser's session need the header {CSRF_HEADER} with the session's "
            "csrfToken: GET /api/v1/session tells it. Programs send a bearer token instead.",
        )


def require_own_site(method: str, headers: Mapping[str, str], public_url: str | None) -> None:
    """Raises ProblemError (403) for what another site makes the browser ask."""
    if not is_own_site(method, headers, public_url):
        raise ProblemError(
            403,
            "cross-site",
            "Another site made your browser ask for this, and only pages of this one may. Open "
            "it yourself; programs send a bearer token. If this is the right site, PUBLIC_URL of "
            "the API is not the address that you use.",
        )


def is_own_site(method: str, headers: Mapping[str, str], public_url: str | None) -> bool:
    """Whether a page of ours asks, or the person himself by following a link.

    https://web.dev/articles/fetch-metadata
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none") or (method in _SAFE and _is_visit(headers))
    origin = headers.get("Origin")
    if origin is None:  # no browser, or one that sends it with changes only
        return True
    host = headers.get("Host", "")  # the browser writes both, so they can be compared
    return origin in (public_url, f"https://{host}", f"http://{host}")


def _is_visit(headers: Mapping[str, str]) -> bool:
    """A link that is followed to a page of its own, not into a frame."""
    return (
        headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    )
