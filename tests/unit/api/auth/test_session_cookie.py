import base64
import json

import pytest
from starlette.responses import Response

from aichat_workspace.api.auth import session_cookie
from aichat_workspace.api.auth.session_cookie import Cookies, Session, TokenTooLargeError
from aichat_workspace.api.auth.signing import Signer
from aichat_workspace.api.web.problems import ProblemError

SEAL = Signer(b"k" * 32, lambda: 1_000.0)
OURS = "https://aichat.example.org"


def token(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


def opened(text: str, signer: Signer = SEAL) -> Session:
    found = session_cookie.decode(signer, session_cookie.encode(signer, text))
    assert found is not None
    return found


def test_a_session_carries_the_token_for_eight_hours() -> None:
    cookie = session_cookie.encode(SEAL, "a.b.c")
    last = Signer(SEAL.key, lambda: 1_000.0 + 8 * 3600 - 1)
    over = Signer(SEAL.key, lambda: 1_000.0 + 8 * 3600)
    found = session_cookie.decode(last, cookie)
    assert found is not None
    assert (found.token, found.expires_at) == ("a.b.c", 1_000 + 8 * 3600)
    assert session_cookie.decode(over, cookie) is None


def test_a_token_that_no_cookie_holds_is_refused_in_words() -> None:
    assert session_cookie.encode(SEAL, "t" * 3_000)
    with pytest.raises(TokenTooLargeError, match="fewer claims"):
        session_cookie.encode(SEAL, "t" * 4_000)


@pytest.mark.parametrize(
    ("claims", "expires"), [({"exp": 1_060}, 1_060), ({"exp": 10**9}, 29_800), ({}, 29_800)]
)
def test_it_ends_with_its_token_or_after_eight_hours(
    claims: dict[str, object], expires: int
) -> None:
    assert session_cookie.expiry(opened(token(**claims))) == expires


@pytest.mark.parametrize("text", ["opaque", "a.b", "a.!.c", "a.e30x.c", "a.WzFd.c", "a.b.c.d"])
def test_a_token_that_is_no_jwt_claims_nothing(text: str) -> None:
    assert session_cookie.claims(text) == {}


def test_every_session_has_a_csrf_token_of_its_own() -> None:
    one, other = opened("a.b.c"), opened("a.b.d")
    later = opened("a.b.c", Signer(SEAL.key, lambda: 1_001.0))
    assert len({one.csrf_token, other.csrf_token, later.csrf_token}) == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("brought", [{}, {"X-CSRF-Token": "é"}, {"X-CSRF-Token": "other"}])
def test_a_change_without_the_sessions_own_csrf_token_is_refused(
    method: str, brought: dict[str, str]
) -> None:
    with pytest.raises(ProblemError) as raised:
        session_cookie.require_csrf_token(method, brought, opened("a.b.c"))
    assert (raised.value.status, raised.value.code) == (403, "csrf-token")


def test_a_change_with_it_and_a_read_without_go_on() -> None:
    found = opened("a.b.c")
    session_cookie.require_csrf_token("POST", {"X-CSRF-Token": found.csrf_token}, found)
    session_cookie.require_csrf_token("GET", {}, found)


VISIT = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers", "own"),
    [
        ("POST", {}, True),
        ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {"Sec-Fetch-Site": "none"}, True),
        ("POST", {"Sec-Fetch-Site": "same-site"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": OURS}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site", **VISIT}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site", **VISIT}, True),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site", **VISIT, "Sec-Fetch-Dest": "iframe"}, False),
        ("POST", {"Origin": OURS}, True),
        ("POST", {"Origin": "http://localhost:8090", "Host": "localhost:8090"}, True),
        ("POST", {"Origin": "https://team-a.example.org", "Host": "api"}, False),
        ("POST", {"Origin": f"{OURS}.evil.test", "Host": "api"}, False),
        ("POST", {"Origin": "null", "Host": "api"}, False),
        ("POST", {"Origin": "https://[", "Host": "api"}, False),
    ],
)
def test_only_pages_of_ours_and_followed_links_may_use_the_cookie(
    method: str, headers: dict[str, str], own: bool
) -> None:
    assert session_cookie.is_own_site(method, headers, OURS) is own


@pytest.mark.parametrize("secure", [True, False])
def test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_with_tls_of_other_hosts(
    secure: bool,
) -> None:
    cookies, response = Cookies(secure), Response()
    cookies.set(response, cookies.session, "value", 60)
    cookies.clear(response, cookies.session)
    for told in response.headers.getlist("set-cookie"):
        assert told.startswith("__Host-aichat-session=") is secure
        assert ("Secure" in told) is secure
        assert "HttpOnly" in told
        assert "SameSite=lax" in told
        assert "Path=/;" in told
        assert "Domain" not in told
