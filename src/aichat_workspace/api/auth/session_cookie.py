"""A browser's session: a signed cookie that carries the person's own token.

The server keeps no sessions, so any replica accepts the cookie, and the token is reviewed as if it
had come in a header. Signing out removes the cookie from the browser; to invalidate a copy, revoke
the token.

Browsers send the cookie with other sites' requests, too. So a change needs a header that other
sites can't know, and requests from other sites are refused. Sibling hosts count as other sites:
tenants' chats are served there. https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
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
SESSION_SCHEME: Final = "Session"
"""The cookie's name in the OpenAPI document."""
MAX_SECONDS: Final = 8 * 3600
# Browsers keep 4096 bytes of a cookie (RFC 6265 6.1); its name and attributes take some.
MAX_VALUE_BYTES: Final = 3_900
_SESSION: Final = "session"
_CSRF: Final = "csrf"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's session."""

    token: str
    """The token that the person signed in with."""
    expires_at: int
    """When the session ends, in seconds since 1970."""
    csrf_token: str
    """What a change must send in X-CSRF-Token."""


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names and attributes of the cookies. With TLS no other host can set one of these names.

    https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix
    """

    secure: bool
    """Whether browsers use TLS."""

    @property
    def session(self) -> str:
        """The name of the session's cookie."""
        return self._name("aichat-session")

    @property
    def sign_ins(self) -> str:
        """The prefix of the names of sign-ins' cookies."""
        return self._name("aichat-sign-in-")

    def sign_in(self, state: str) -> str:
        """Return the name of a sign-in's cookie; each tab has its own."""
        return self.sign_ins + hashlib.sha256(state.encode()).hexdigest()[:16]

    def set(self, response: Response, name: str, value: str, seconds: int) -> None:
        """Set a cookie that the browser keeps for so long."""
        response.set_cookie(
            name, value, seconds, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def clear(self, response: Response, name: str) -> None:
        """Remove a cookie from the browser."""
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name


class TokenTooLargeError(ValueError):
    """The token does not fit into a cookie; the message says what to do."""


def encode(signer: Signer, token: str) -> str:
    """Return the signed cookie for a token. Raises TokenTooLargeError."""
    cookie = signer.sign(_SESSION, token)
    if len(cookie) > MAX_VALUE_BYTES:
        raise TokenTooLargeError(
            f"The token has {len(token)} bytes, which is more than a browser's cookie holds. Have "
            "the identity provider put fewer claims into it (a long list of groups, most often), "
            "or send it in the Authorization header instead of signing in."
        )
    return cookie


def decode(signer: Signer, cookie: str) -> Session | None:
    """Return the session of a cookie; None if it expired or was not issued by us."""
    signed = signer.verify(_SESSION, cookie, MAX_SECONDS)
    if signed is None:
        return None
    return Session(signed.text, signed.signed_at + MAX_SECONDS, signer.mac(_CSRF, cookie))


def claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a JSON Web Token; empty for another kind of token.

    The signature is not verified: call this only after a TokenReview.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return payload if isinstance(payload, dict) else {}


def expiry(session: Session) -> int:
    """Return when the session or its token expires, in seconds since 1970."""
    token_expiry = claims(session.token).get("exp")
    return (
        min(session.expires_at, int(token_expiry))
        if isinstance(token_expiry, int | float)
        else session.expires_at
    )


def require_csrf_token(method: str, headers: Mapping[str, str], session: Session) -> None:
    """Raise ProblemError (403) for a change without the session's CSRF token."""
    if method in _SAFE:
        return
    csrf_token = headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(csrf_token.encode(), session.csrf_token.encode()):
        raise ProblemError(
            403,
            "csrf-token",
            f"Changes in a browser's session need the header {CSRF_HEADER} with the session's "
            "csrfToken: GET /api/v1/session tells it. Programs send a bearer token instead.",
        )


def require_own_site(method: str, headers: Mapping[str, str], public_url: str | None) -> None:
    """Raise ProblemError (403) for a request that another site made the browser send."""
    if not is_own_site(method, headers, public_url):
        raise ProblemError(
            403,
            "cross-site",
            "Another site made your browser ask for this, and only pages of this one may. Open "
            "it yourself; programs send a bearer token. If this is the right site, PUBLIC_URL of "
            "the API is not the address that you use.",
        )


def is_own_site(method: str, headers: Mapping[str, str], public_url: str | None) -> bool:
    """Return whether the request comes from a page of this site or from a followed link.

    https://web.dev/articles/fetch-metadata
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none") or (method in _SAFE and _is_visit(headers))
    origin = headers.get("Origin")
    if origin is None:  # not a browser, or a browser that sends it only with changes
        return True
    host = headers.get("Host", "")  # the browser writes both, so they can be compared
    return origin in (public_url, f"https://{host}", f"http://{host}")


def _is_visit(headers: Mapping[str, str]) -> bool:
    """Return whether a link is followed to a page of its own, not into a frame."""
    return (
        headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    )
