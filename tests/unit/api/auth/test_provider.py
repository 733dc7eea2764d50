import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from aichat_workspace.api.auth.attempt import Attempt
from aichat_workspace.api.auth.provider import Provider, Tokens
from aichat_workspace.api.settings import Oidc
from aichat_workspace.api.web.responses.problems import ProblemError

ISSUER = "https://id.example.org/realm"
SETTINGS = Oidc(ISSUER, "aichat", None, "openid email")
ATTEMPT = Attempt("state", "nonce", "v" * 43, "/console", 1_000)
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth?tenant=a",
    "token_endpoint": f"{ISSUER}/token",
}


class ScriptedTransport(httpx2.AsyncBaseTransport):
    """An identity provider that answers by script."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answers.pop(0)


def create_provider(
    *answers: httpx2.Response, settings: Oidc = SETTINGS
) -> tuple[Provider, ScriptedTransport]:
    transport = ScriptedTransport(*answers)
    provider = Provider.from_settings(settings, "https://aichat.example.org")
    return replace(provider, transport=transport), transport


def discovery(**offered: Any) -> httpx2.Response:
    return httpx2.Response(200, json={**DOCUMENT, **offered})


def token(**claims: object) -> str:
    body = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


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
    assert await idp.tokens("code", ATTEMPT) == Tokens("a.b.c", None)
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
        await idp.tokens("code", ATTEMPT)
    assert raised.value.status == status


async def test_a_provider_that_offers_refresh_tokens_is_asked_for_one() -> None:
    idp, _ = create_provider(discovery(scopes_supported=["openid", "offline_access"]))
    query = parse_qs(urlsplit(await idp.authorization_url(ATTEMPT)).query)
    assert query["scope"] == ["openid email offline_access"]


@pytest.mark.parametrize(("given", "expected"), [("second", "second"), (None, "first")])
async def test_a_token_is_renewed_with_a_new_refresh_token_or_with_the_same(
    given: str | None, expected: str
) -> None:
    answer = {"id_token": "a.b.d", "access_token": "x", "refresh_token": given}
    answer = {name: value for name, value in answer.items() if value}
    idp, transport = create_provider(discovery(), httpx2.Response(200, json=answer))
    assert await idp.renew("first") == Tokens("a.b.d", expected)
    assert parse_qs(transport.requests[1].content.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["first"],
        "client_id": ["aichat"],
    }


@pytest.mark.parametrize(
    ("methods", "header", "fields"),
    [
        (["client_secret_basic"], f"Basic {b64encode(b'aichat:hu%2Bsh%3A').decode()}", {}),
        (["client_secret_post"], None, {"client_id": ["aichat"], "client_secret": ["hu+sh:"]}),
    ],
)
async def test_the_clients_secret_is_sent_as_the_provider_takes_it(
    methods: list[str], header: str | None, fields: dict[str, list[str]]
) -> None:
    idp, transport = create_provider(
        discovery(
            token_endpoint_auth_methods_supported=methods, revocation_endpoint=f"{ISSUER}/revoke"
        ),
        httpx2.Response(200, json={"id_token": "a.b.c"}),
        httpx2.Response(200, json={"id_token": "a.b.c"}),
        httpx2.Response(200),
        settings=replace(SETTINGS, client_secret="hu+sh:"),
    )
    await idp.tokens("code", ATTEMPT)
    await idp.renew("first")
    await idp.revoke("first")
    for request in transport.requests[1:]:
        body = parse_qs(request.content.decode())
        assert request.headers.get("Authorization") == header
        assert {name: body[name] for name in ("client_id", "client_secret") if name in body} == (
            fields
        )


async def test_a_provider_that_takes_no_secret_is_a_problem_that_says_so() -> None:
    idp, _ = create_provider(
        discovery(token_endpoint_auth_methods_supported=["private_key_jwt"]),
        settings=replace(SETTINGS, client_secret="hush"),
    )
    with pytest.raises(ProblemError) as raised:
        await idp.tokens("code", ATTEMPT)
    assert "private_key_jwt" in raised.value.detail


async def test_a_refresh_token_is_revoked_where_that_is_offered() -> None:
    idp, transport = create_provider(
        discovery(revocation_endpoint=f"{ISSUER}/revoke"), httpx2.Response(200)
    )
    await idp.revoke("first")
    body = parse_qs(transport.requests[1].content.decode())
    assert (body["token"], body["token_type_hint"]) == (["first"], ["refresh_token"])
    idp, transport = create_provider(discovery())
    await idp.revoke("first")
    assert len(transport.requests) == 1


async def test_a_failed_revocation_is_a_problem() -> None:
    idp, _ = create_provider(
        discovery(revocation_endpoint=f"{ISSUER}/revoke"), httpx2.Response(503)
    )
    with pytest.raises(ProblemError):
        await idp.revoke("first")


async def test_a_person_signs_out_at_the_provider_with_their_own_token_as_a_hint() -> None:
    idp, _ = create_provider(discovery(end_session_endpoint=f"{ISSUER}/logout?a=b"))
    hint = token(iss=f"{ISSUER}/")
    url = urlsplit(await idp.sign_out_url(hint) or "")
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/logout"
    assert parse_qs(url.query) == {
        "a": ["b"],
        "client_id": ["aichat"],
        "post_logout_redirect_uri": ["https://aichat.example.org/"],
        "id_token_hint": [hint],
    }


async def test_a_token_that_is_too_long_for_a_url_is_no_hint() -> None:
    idp, _ = create_provider(discovery(end_session_endpoint=f"{ISSUER}/logout"))
    url = await idp.sign_out_url(token(iss=ISSUER, groups=["g" * 20] * 200))
    assert url is not None
    assert "id_token_hint" not in url


async def test_another_issuers_token_is_never_sent_to_the_provider() -> None:
    idp, _ = create_provider(discovery(end_session_endpoint=f"{ISSUER}/logout"))
    assert await idp.sign_out_url(token(iss="https://kubernetes.default.svc")) is None
    assert await idp.sign_out_url("opaque") is None


async def test_a_provider_without_an_end_of_sessions_has_no_address_to_sign_out() -> None:
    idp, _ = create_provider(discovery())
    assert await idp.sign_out_url(token(iss=ISSUER)) is None


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
