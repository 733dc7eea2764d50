from http.cookies import SimpleCookie

import pytest
from starlette.responses import Response

from aichat_workspace.api.auth.sessions.cookies import (
    MAX_SESSION_BYTES,
    Cookies,
    SessionTooLargeError,
)

SAFE = Cookies(secure=True)
HEADER_BYTES = 8 * 1024  # of one header, and of a response's head, in common proxies
COOKIE_BYTES = 4_096  # of one cookie with its name, in browsers


def cookies_of(response: Response) -> dict[str, str]:
    """What a browser sends after the response."""
    cookies: dict[str, str] = {}
    for header in response.headers.getlist("set-cookie"):
        for name, morsel in SimpleCookie(header).items():
            cookies[name] = morsel.value
            if morsel["max-age"] == "0":
                del cookies[name]
    return cookies


@pytest.mark.parametrize("size", [1, 3_800, 3_801, MAX_SESSION_BYTES])
def test_a_session_is_read_from_the_cookies_that_were_set(size: int) -> None:
    value, response = "".join(chr(97 + index % 26) for index in range(size)), Response()
    SAFE.set_session(response, value, 60)
    cookies = cookies_of(response)
    assert SAFE.read_session(cookies) == value
    assert len(cookies) == 1 + (size > 3_800)
    assert all(len(name) + len(text) + 1 < COOKIE_BYTES for name, text in cookies.items())


def test_a_session_that_has_become_smaller_leaves_nothing_of_the_larger() -> None:
    response = Response()
    SAFE.set_session(response, "a" * 5_000, 60)
    SAFE.set_session(response, "b", 60)
    assert SAFE.read_session(cookies_of(response)) == "b"


@pytest.mark.parametrize(
    "cookies",
    [
        {},
        {"aichat-session": "1.a"},
        *({"__Host-aichat-session": text} for text in ("", "a", "1.", "0.a", "3.a", "x.a")),
    ],
)
def test_anything_else_is_no_session(cookies: dict[str, str]) -> None:
    assert SAFE.read_session(cookies) is None


def test_a_session_that_is_too_large_is_refused_with_advice() -> None:
    with pytest.raises(SessionTooLargeError, match="fewer claims"):
        SAFE.set_session(Response(), "a" * (MAX_SESSION_BYTES + 1), 60)


def test_the_largest_cookies_fit_into_what_proxies_take_in_both_directions() -> None:
    response, cookies = Response(status_code=303), dict[str, str]()
    SAFE.set_session(response, "a" * MAX_SESSION_BYTES, 8 * 3600)
    response.headers["Location"] = "/" + "x" * 1_023
    SAFE.clear(response, SAFE.sign_in("state"))
    head = sum(len(name) + len(value) + 4 for name, value in response.raw_headers)
    assert head + 500 < HEADER_BYTES  # and what middleware adds
    cookies = cookies_of(response)
    for tab in range(20):
        sign_in, size = Response(), 1_700 if tab % 3 else 400
        SAFE.set_sign_in(sign_in, f"tab-{tab}", "a" * size, 600, cookies)
        removed = {
            name
            for header in sign_in.headers.getlist("set-cookie")
            for name, morsel in SimpleCookie(header).items()
            if morsel["max-age"] == "0"
        }
        cookies = {name: text for name, text in cookies.items() if name not in removed}
        cookies |= cookies_of(sign_in)
        assert SAFE.sign_in(f"tab-{tab}") in cookies
        line = "Cookie: " + "; ".join(f"{name}={text}" for name, text in cookies.items())
        assert len(line) < HEADER_BYTES


def test_a_browser_keeps_the_cookies_for_a_day_after_the_end_to_learn_of_it() -> None:
    response = Response()
    SAFE.set_session(response, "value", 60.5)
    assert f"Max-Age={60 + 24 * 3600};" in response.headers["set-cookie"]


def test_a_cleared_session_leaves_no_cookie() -> None:
    response = Response()
    SAFE.set_session(response, "a" * 5_000, 60)
    SAFE.clear_session(response)
    assert cookies_of(response) == {}


@pytest.mark.parametrize("secure", [True, False])
def test_cookies_are_http_only_same_site_and_with_tls_bound_to_the_host(secure: bool) -> None:
    cookies, response = Cookies(secure), Response()
    cookies.set_session(response, "a" * 5_000, 60)
    cookies.set_sign_in(response, "state", "value", 60, {})
    cookies.clear_session(response)
    headers = response.headers.getlist("set-cookie")
    assert len(headers) == 5
    for cookie in headers:
        assert cookie.startswith("__Host-aichat-s") is secure
        assert ("Secure" in cookie) is secure
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/;" in cookie
        assert "Domain" not in cookie
