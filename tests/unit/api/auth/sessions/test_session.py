import base64
import json
from dataclasses import replace

import pytest

from aichat_workspace.api.auth.sessions import session as sessions
from aichat_workspace.api.auth.sessions.encryption import Cipher
from aichat_workspace.api.web.responses.problems import ProblemError

CIPHER = Cipher(b"k" * 32)
HOURS = 8 * 3600


def token(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


SESSION = sessions.start(token(exp=1_100), "refresh", 1_000.5, HOURS)


@pytest.mark.parametrize(
    ("claims", "ends_at"), [({"exp": 1_060}, 1_060), ({"exp": 10**9}, 29_800), ({}, 29_800)]
)
def test_without_a_refresh_token_a_session_ends_with_its_token_or_the_longest_session(
    claims: dict[str, object], ends_at: int
) -> None:
    assert sessions.start(token(**claims), None, 1_000.5, HOURS).ends_at == ends_at


def test_with_a_refresh_token_a_session_outlives_its_token() -> None:
    assert SESSION.ends_at == 29_800


def test_a_session_is_due_when_a_quarter_of_its_tokens_life_is_left() -> None:
    assert not sessions.is_due(SESSION, 1_074.9)
    assert sessions.is_due(SESSION, 1_075)
    assert sessions.is_due(SESSION, 2_000), "a browser that slept can still be renewed"


def test_what_can_not_be_renewed_or_never_expires_is_never_due() -> None:
    assert not sessions.is_due(replace(SESSION, refresh_token=None), 2_000)
    assert not sessions.is_due(replace(SESSION, token="opaque"), 2_000)


def test_a_session_is_over_with_its_token_or_at_its_own_end() -> None:
    assert not sessions.is_over(SESSION, 1_099.9)
    assert sessions.is_over(SESSION, 1_100)
    assert not sessions.is_over(replace(SESSION, token="opaque"), 29_799)
    assert sessions.is_over(replace(SESSION, token="opaque"), 29_800)


def test_the_newer_state_is_the_last_one_and_an_end_is_after_all() -> None:
    renewed = replace(SESSION, generation=1)
    again = replace(SESSION, generation=2)
    assert sessions.newer(renewed, again) == sessions.newer(again, renewed) == again
    ended = sessions.ended(SESSION, 1_050.9)
    assert (ended.ends_at, ended.refresh_token) == (1_050, None)
    assert sessions.newer(again, ended) == sessions.newer(ended, again) == ended


def test_an_encrypted_session_can_be_read_with_the_key_only() -> None:
    text = sessions.encrypt(CIPHER, SESSION)
    assert sessions.decrypt(CIPHER, text) == SESSION
    assert sessions.decrypt(Cipher(b"o" * 32), text) is None
    assert sessions.decrypt(CIPHER, text[:-1]) is None
    assert sessions.decrypt(CIPHER, CIPHER.encrypt("sign-in", b"{}")) is None


def test_a_session_shows_no_token() -> None:
    assert "refresh'" not in repr(SESSION)
    assert SESSION.token not in repr(SESSION)


def test_every_session_has_a_csrf_token_of_its_own_that_renewals_keep() -> None:
    other = sessions.start(SESSION.token, "refresh", 1_000.5, HOURS)
    assert sessions.csrf_token(CIPHER, SESSION) != sessions.csrf_token(CIPHER, other)
    renewed = replace(SESSION, token="a.b.d", token_since=1_090, refresh_token="next")
    assert sessions.csrf_token(CIPHER, SESSION) == sessions.csrf_token(CIPHER, renewed)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("headers", [{}, {"X-CSRF-Token": "\u00e9"}, {"X-CSRF-Token": "other"}])
def test_a_change_without_the_sessions_own_csrf_token_is_refused(
    method: str, headers: dict[str, str]
) -> None:
    with pytest.raises(ProblemError) as raised:
        sessions.require_csrf_token(method, headers, CIPHER, SESSION)
    assert (raised.value.status, raised.value.code) == (403, "csrf-token")


def test_a_change_with_the_csrf_token_and_a_read_without_are_allowed() -> None:
    headers = {"X-CSRF-Token": sessions.csrf_token(CIPHER, SESSION)}
    sessions.require_csrf_token("POST", headers, CIPHER, SESSION)
    sessions.require_csrf_token("GET", {}, CIPHER, SESSION)
