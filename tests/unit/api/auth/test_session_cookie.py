import base64
import json

import pytest
from starlette.responses import Response

from aichat_workspace.api.auth import session_cookie
from aichat_workspace.api.auth.session_cookie import Cookies, Session, TokenTooLargeError
from aichat_workspace.api.auth.signing import Signer
from aichat_workspace.api.web.problems import ProblemError

SIGNER = Signer(b"k" * 32, lambda: 1_000.0)
PUBLIC_URL = "https://aichat.example.org"


def token(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


def create_session(text: str, signer: Signer = SIGNER) -> Session:
    session = session_cookie.decode(signer, session_cookie.encode(signer, text))
    assert session is not None
    return session


def test_a_session_carries_the_token_for_eight_hours() -> None:
    cookie = session_cookie.encode(SIGNER, "a.b.c")
    last = Signer(SIGNER.key, lambda: 1_000.0 + 8 * 3600 - 1)
    over = Signer(SIGNER.key, lambda: 1_000.0 + 8 * 3600)
    session = session_cookie.decode(last, cookie)
    assert session is not None
    assert (session.token, session.expires_at) == ("a.b.c", 1_000 + 8 * 3600)
    assert session_cookie.decode(over, cookie) is None


def test_a_token_that_is_too_large_for_a_cookie_is_refused_with_advice() -> None:
    assert session_cookie.encode(SIGNER, "t" * 3_000)
    with pytest.raises(TokenTooLargeError, match="fewer claims"):
        session_cookie.encode(SIGNER, "t" * 4_000)


@pytest.mark.parametrize(
    ("claims", "expires"), [({"exp": 1_060}, 1_060), ({"exp": 10**9}, 29_800), ({}, 29_800)]
)
def test_a_session_expires_with_its_token_or_after_eight_hours(
    claims: dict[str, object], expires: int
) -> None:
    assert session_cookie.expiry(create_session(token(**claims))) == expires


@pytest.mark.parametrize("text", ["opaque", "a.b", "a.!.c", "a.e30x.c", "a.WzFd.c", "a.b.c.d"])
def test_a_token_that_is_no_jwt_has_no_claims(text: str) -> None:
    assert session_cookie.claims(text) == {}


def test_every_session_has_a_csrf_token_of_its_own() -> None:
    first, second = create_session("a.b.c"), create_session("a.b.d")
    later = create_session("a.b.c", Signer(SIGNER.key, lambda: 1_001.0))
    assert len({first.csrf_token, second.csrf_token, later.csrf_token}) == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("headers", [{}, {"X-CSRF-Token": "é"}, {"X-CSRF-Token": "other"}])
def test_a_change_without_the_sessions_own_csrf_token_is_refused(
    method: str, headers: dict[str, str]
) -> None:
    with pytest.raises(ProblemError) as raised:
        session_cookie.require_csrf_token(method, headers, create_session("a.b.c"))
    assert (raised.value.status, raised.value.code) == (403, "csrf-token")


def test_a_change_with_the_csrf_token_and_a_read_without_are_allowed() -> None:
    session = create_session("a.b.c")
    session_cookie.require_csrf_token("POST", {"X-CSRF-Token": session.csrf_token}, session)
    session_cookie.require_csrf_token("GET", {}, session)


VISIT = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers", "is_own"),
    [
        ("POST", {}, True),
        ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {"Sec-Fetch-Site": "none"}, True),
        ("POST", {"Sec-Fetch-Site": "same-site"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": PUBLIC_URL}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site", **VISIT}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site", **VISIT}, True),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site", **VISIT, "Sec-Fetch-Dest": "iframe"}, False),
        ("POST", {"Origin": PUBLIC_URL}, True),
        ("POST", {"Origin": "http://localhost:8090", "Host": "localhost:8090"}, True),
        ("POST", {"Origin": "https://team-a.example.org", "Host": "api"}, False),
        ("POST", {"Origin": f"{PUBLIC_URL}.evil.test", "Host": "api"}, False),
        ("POST", {"Origin": "null", "Host": "api"}, False),
        ("POST", {"Origin": "https://[", "Host": "api"}, False),
    ],
)
def test_only_own_pages_and_followed_links_may_use_the_cookie(
    method: str, headers: dict[str, str], is_own: bool
) -> None:
    assert session_cookie.is_own_site(method, headers, PUBLIC_URL) is is_own


@pytest.mark.parametrize("secure", [True, False])
def test_cookies_are_http_only_same_site_and_with_tls_bound_to_the_host(
    secure: bool,
) -> None:
    cookies, response = Cookies(secure), Response()
    cookies.set(response, cookies.session, "value", 60)
    cookies.clear(response, cookies.session)
    for cookie in response.headers.getlist("set-cookie"):
        assert cookie.startswith("__Host-aichat-session=") is secure
        assert ("Secure" in cookie) is secure
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/;" in cookie
        assert "Domain" not in cookie
