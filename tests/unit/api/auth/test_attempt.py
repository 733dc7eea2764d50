from aichat_workspace.api.auth.attempt import Attempt
from aichat_workspace.api.auth.sessions.encryption import Cipher

CIPHER = Cipher(b"k" * 32)
ATTEMPT = Attempt("state", "nonce", "v" * 43, "/console", 1_000)


def test_an_attempt_is_read_from_its_cookie_for_ten_minutes() -> None:
    cookie = ATTEMPT.to_cookie(CIPHER)
    assert Attempt.from_cookie(CIPHER, cookie, 1_599.9) == ATTEMPT
    assert Attempt.from_cookie(CIPHER, cookie, 1_600) is None
    assert Attempt.from_cookie(Cipher(b"o" * 32), cookie, 1_000) is None


def test_no_two_attempts_share_a_secret() -> None:
    first, second = Attempt.begin("/", 1), Attempt.begin("/", 1)
    secrets = {attempt.state for attempt in (first, second)} | {
        attempt.nonce for attempt in (first, second)
    }
    assert len(secrets | {first.verifier, second.verifier}) == 6
    assert len(first.verifier) >= 43  # RFC 7636 4.1
