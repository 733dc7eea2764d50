from typing import Any

import pytest

from aichat_workspace.api.auth import provider_metadata
from aichat_workspace.api.auth.provider_metadata import ProviderMetadata

ISSUER = "https://id.example.org/realm"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth?tenant=a",
    "token_endpoint": f"{ISSUER}/token",
}


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
        provider_metadata.parse(document, ISSUER)


def test_a_trailing_slash_of_the_issuer_is_ignored() -> None:
    metadata = provider_metadata.parse({**DOCUMENT, "issuer": f"{ISSUER}/"}, ISSUER)
    assert metadata == ProviderMetadata(f"{ISSUER}/auth?tenant=a", f"{ISSUER}/token")


def test_what_a_provider_offers_is_read() -> None:
    document = {
        **DOCUMENT,
        "revocation_endpoint": f"{ISSUER}/revoke",
        "end_session_endpoint": f"{ISSUER}/logout",
        "scopes_supported": ["openid", "offline_access"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    }
    metadata = provider_metadata.parse(document, ISSUER)
    assert metadata.revocation == f"{ISSUER}/revoke"
    assert metadata.end_session == f"{ISSUER}/logout"
    assert metadata.scopes == ("openid", "offline_access")
    assert metadata.auth_methods == ("client_secret_post", "private_key_jwt")


@pytest.mark.parametrize("value", ["http://id.example.org/x", 1, None, ["https://x"]])
def test_an_end_without_tls_is_as_if_it_was_not_offered(value: object) -> None:
    document = {**DOCUMENT, "end_session_endpoint": value, "revocation_endpoint": value}
    metadata = provider_metadata.parse(document, ISSUER)
    assert (metadata.end_session, metadata.revocation) == (None, None)


@pytest.mark.parametrize(
    ("supported", "secret", "method"),
    [
        (None, "hush", "client_secret_basic"),
        ([], "hush", "client_secret_basic"),
        ("client_secret_post", "hush", "client_secret_basic"),
        (["client_secret_post"], "hush", "client_secret_post"),
        (["client_secret_post", "client_secret_basic"], "hush", "client_secret_basic"),
        (["private_key_jwt", "client_secret_post"], "hush", "client_secret_post"),
        (["private_key_jwt"], None, "none"),
        (None, None, "none"),
    ],
)
def test_the_client_authenticates_itself_as_the_provider_supports_it(
    supported: object, secret: str | None, method: str
) -> None:
    document = {**DOCUMENT, "token_endpoint_auth_methods_supported": supported}
    assert provider_metadata.parse(document, ISSUER).auth_method(secret) == method


def test_a_provider_that_takes_no_secret_is_refused_with_what_it_takes() -> None:
    document = {**DOCUMENT, "token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    with pytest.raises(ValueError, match="are private_key_jwt"):
        provider_metadata.parse(document, ISSUER).auth_method("hush")


def test_a_refresh_token_is_asked_for_where_it_is_offered() -> None:
    offering = ProviderMetadata("https://a", "https://b", scopes=("openid", "offline_access"))
    assert offering.scope("openid email") == "openid email offline_access"
    assert offering.scope("offline_access openid") == "offline_access openid"
    assert ProviderMetadata("https://a", "https://b").scope("openid email") == "openid email"
