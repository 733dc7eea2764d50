import base64
import json

import pytest

from aichat_workspace.foundation.tokens import claims, expiry


def token(payload: str) -> str:
    return f"e30.{base64.urlsafe_b64encode(payload.encode()).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    "text",
    [
        *("", "opaque", "a.b", "a.!.c", "a.e30x.c", "a.b.c", "a.ü.c"),
        token("[1]"),
        token("7"),
        token("[" * 100_000),
        token("7" * 10_000),
        "e30." + token('{"exp":1}'),
        token('{"exp":1}').rpartition(".")[0],
    ],
)
def test_a_token_that_is_no_jwt_has_no_claims(text: str) -> None:
    assert claims(text) == {}
    assert expiry(text) is None


def test_claims_are_read_as_the_token_has_them() -> None:
    values = {"iss": "https://id.example.org", "sub": "ünn?>", "aud": ["a", "b"]}
    assert claims(token(json.dumps(values, ensure_ascii=False))) == values


@pytest.mark.parametrize(
    ("exp", "seconds"),
    [
        ("1060", 1_060),
        ("1060.5", 1_060),
        ('"1060"', None),
        ("true", None),
        ("null", None),
        ("Infinity", None),
        ("NaN", None),
        ("1e999", None),
    ],
)
def test_an_expiry_is_a_number_of_whole_seconds(exp: str, seconds: int | None) -> None:
    end = expiry(token(f'{{"exp": {exp}}}'))
    assert end == seconds
    assert end is None or type(end) is int
