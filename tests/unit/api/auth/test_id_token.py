import base64
import json

import pytest

from aichat_workspace.api.auth import id_token
from aichat_workspace.api.settings import Oidc
from aichat_workspace.api.web.responses.problems import ProblemError

ISSUER = "https://id.example.org/realm"
SETTINGS = Oidc(ISSUER, "aichat", None, "openid email")
CLAIMS = {"nonce": "nonce", "aud": "aichat", "iss": ISSUER}


def token(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


def test_the_issuer_is_read_without_a_slash_at_its_end() -> None:
    assert id_token.issuer(token(iss=f"{ISSUER}/")) == ISSUER
    assert id_token.issuer("opaque") == ""


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"azp": "aichat"},
        {"aud": ["aichat"]},
        {"aud": ["other", "aichat"], "azp": "aichat"},
        {"iss": f"{ISSUER}/"},
    ],
)
def test_a_token_for_this_sign_in_is_accepted(claims: dict[str, object]) -> None:
    id_token.require_matching_claims(token(**{**CLAIMS, **claims}), "nonce", SETTINGS)


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"nonce": "other"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "aichat2"}, "client"),
        ({"aud": None}, "client"),
        ({"aud": ["other", "aichat"]}, "client"),
        ({"aud": ["other", "aichat"], "azp": "other"}, "client"),
        ({"azp": "other"}, "client"),
        ({"iss": "https://x"}, "issuer"),
    ],
)
def test_a_token_for_another_sign_in_client_or_issuer_is_refused(
    claims: dict[str, object], word: str
) -> None:
    with pytest.raises(ProblemError) as raised:
        id_token.require_matching_claims(token(**{**CLAIMS, **claims}), "nonce", SETTINGS)
    assert raised.value.status == 401
    assert f"for another {word}" in raised.value.detail


def test_a_renewed_token_is_for_the_same_person_client_and_issuer() -> None:
    first = token(**CLAIMS, sub="ann", exp=1)
    assert id_token.is_for_same_person(first, token(aud="aichat", iss=ISSUER, sub="ann", exp=2))
    for claims in ({"sub": "bob"}, {"aud": "other"}, {"iss": "https://x"}, {"azp": "other"}):
        assert not id_token.is_for_same_person(first, token(**{**CLAIMS, "sub": "ann", **claims}))
