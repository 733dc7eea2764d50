import hashlib
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from aichat_workspace.api.auth import oidc
from aichat_workspace.api.auth.oidc import Attempt, Endpoints, Provider
from aichat_workspace.api.auth.signing import Signer
from aichat_workspace.api.settings import Oidc
from aichat_workspace.api.web.problems import ProblemError

ISSUER = "https://id.example.org/realm"
SETTINGS = Oidc(ISSUER, "aichat", None, "openid email")
ATTEMPT = Attempt("state", "nonce", "v" * 43, "/console")
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth?tenant=a",
    "token_endpoint": f"{ISSUER}/token",
}


@pytest.mark.parametrize("path", ["/", "/console", "/a/b?c=d&e=%2F%2F#f", "/a//b", "/@x"])
def test_a_path_of_this_site_is_local(path: str) -> None:
    assert oidc.is_local(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "console",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/a\\b",
        "/\t/evil.test",
        "/\n/evil.test",
        " /console",
        "/console\r\nSet-Cookie: a=b",
        "https://evil.test",
        "https:evil.test",
        "javascript:alert(1)",
        "/é",
    ],
)
def test_any_other_text_is_not_local(path: str) -> None:
    assert not oidc.is_local(path)


def test_an_attempt_is_read_from_its_cookie_for_ten_minutes() -> None:
    cookie = ATTEMPT.to_cookie(Signer(b"k" * 32, lambda: 1_000))
    assert Attempt.from_cookie(Signer(b"k" * 32, lambda: 1_599), cookie) == ATTEMPT
    assert Attempt.from_cookie(Signer(b"k" * 32, lambda: 1_600), cookie) is None
    assert Attempt.from_cookie(Signer(b"o" * 32, lambda: 1_000), cookie) is None


def test_no_two_attempts_share_a_secret() -> None:
    first, second = Attempt.begin("/"), Attempt.begin("/")
    secrets = {attempt.state for attempt in (first, second)} | {
        attempt.nonce for attempt in (first, second)
    }
    assert len(secrets | {first.verifier, second.verifier}) == 6
    assert len(first.verifier) >= 43  # RFC 7636 4.1


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {**DOCUMENT, "issuer": "https://id.example.org/other"},
        {**DOCUMENT, "token_endpoint": "http://id.example.org/token"},
        {**DOCUMENT, "authorization_endpoint": None},
    ],
)
def test_a_discovery_document_of_another_issuer_or_without_tls_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="its discovery document"):
        oidc.endpoints(document, ISSUER)


def test_a_trailing_slash_of_the_issuer_is_ignored() -> None:
    endpoints = oidc.endpoints({**DOCUMENT, "issuer": f"{ISSUER}/"}, ISSUER)
    assert endpoints == Endpoints(f"{ISSUER}/auth?tenant=a", f"{ISSUER}/token")


CLAIMS = {"nonce": "nonce", "aud": "aichat", "iss": ISSUER}


def test_a_token_for_this_attempt_is_accepted() -> None:
    oidc.require_matching_claims(CLAIMS, ATTEMPT, SETTINGS)
    oidc.require_matching_claims({**CLAIMS, "aud": ["other", "aichat"]}, ATTEMPT, SETTINGS)


@pytest.mark.parametrize(
    "wrong",
    [{"nonce": "other"}, {"nonce": None}, {"aud": "aichat2"}, {"aud": None}, {"iss": "https://x"}],
)
def test_a_token_for_another_attempt_client_or_issuer_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProblemError) as raised:
        oidc.require_matching_claims({**CLAIMS, **wrong}, ATTEMPT, SETTINGS)
    assert raised.value.status == 401


class ScriptedTransport(httpx2.AsyncBaseTransport):
    """An identity provider that answers by script."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answers.pop(0)


def create_provider(*answers: httpx2.Response) -> tuple[Provider, ScriptedTransport]:
    transport = ScriptedTransport(*answers)
    provider = Provider.from_settings(SETTINGS, "https://aichat.example.org")
    return replace(provider, transport=transport), transport


def discovery() -> httpx2.Response:
    return httpx2.Response(200, json=DOCUMENT)


async def test_pkce_sends_the_challenge_first_and_its_verifier_only_to_the_token_endpoint() -> None:
    idp, transport = create_provider(
        discovery(), httpx2.Response(200, json={"id_token": "a.b.c", "access_token": "x"})
    )
    url = urlsplit(await idp.authorization_url(ATTEMPT))
    digest = hashlib.sha256(ATTEMPT.verifier.encode()).digest()
    assert parse_qs(url.query) == {
        "tenant": ["a"],
        "response_type": ["code"],
        "client_id": ["aichat"],
        "redirect_uri": ["https://aichat.example.org/api/v1/session/callback"],
        "scope": ["openid email"],
        "state": ["state"],
        "nonce": ["nonce"],
        "code_challenge": [urlsafe_b64encode(digest).decode().rstrip("=")],
        "code_challenge_method": ["S256"],
    }
    assert await idp.id_token("code", ATTEMPT) == "a.b.c"
    first, exchanged = transport.requests
    assert str(first.url) == f"{ISSUER}/.well-known/openid-configuration"
    assert str(exchanged.url) == f"{ISSUER}/token"
    body = parse_qs(exchanged.content.decode())
    assert body["code_verifier"] == [ATTEMPT.verifier]
    assert body["redirect_uri"] == ["https://aichat.example.org/api/v1/session/callback"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (httpx2.Response(400, json={"error": "invalid_grant"}), 401),
        (httpx2.Response(401, json={"error": "invalid_client"}), 502),
        (httpx2.Response(500, text="broken"), 502),
        (httpx2.Response(200, text="<html>"), 502),
        (httpx2.Response(200, json=[]), 502),
        (httpx2.Response(200, json={"access_token": "x"}), 502),
        (httpx2.Response(302, headers={"Location": "https://evil.test"}), 502),
    ],
)
async def test_a_provider_that_refuses_or_fails_is_a_problem(
    answer: httpx2.Response, status: int
) -> None:
    idp, _ = create_provider(discovery(), answer)
    with pytest.raises(ProblemError) as raised:
        await idp.id_token("code", ATTEMPT)
    assert raised.value.status == status


async def test_a_failed_discovery_is_a_problem_and_is_repeated() -> None:
    idp, _ = create_provider(httpx2.Response(503), discovery())
    with pytest.raises(ProblemError) as raised:
        await idp.authorization_url(ATTEMPT)
    assert raised.value.status == 502
    assert await idp.authorization_url(ATTEMPT)


def test_markup_is_removed_from_a_providers_error() -> None:
    idp, _ = create_provider()
    assert "<" not in idp.refusal("<script>alert(1)</script>").detail


def test_a_missing_ca_file_is_refused_by_its_variable(tmp_path: Path) -> None:
    settings = Oidc(ISSUER, "aichat", None, "openid", str(tmp_path / "none.crt"))
    with pytest.raises(ValueError, match="OIDC_CA_FILE"):
        Provider.from_settings(settings, "https://aichat.example.org")
