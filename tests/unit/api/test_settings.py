import pytest

from aichat_workspace.api.settings import Settings

OIDC = {
    "OIDC_ISSUER": "https://id.example.org/",
    "OIDC_CLIENT_ID": "aichat",
    "PUBLIC_URL": "https://aichat.example.org/",
}


def read(**environment: str) -> Settings:
    return Settings.read(environment, in_cluster=True)


def test_the_public_url_is_an_origin() -> None:
    assert read(PUBLIC_URL="https://aichat.example.org/").public_url == "https://aichat.example.org"
    assert read().public_url is None


@pytest.mark.parametrize(
    "url", ["aichat.example.org", "ftp://a", "https://", "https://a/b", "https://a?b", "http://u@a"]
)
def test_a_public_url_that_is_none_is_refused_with_the_variable_named(url: str) -> None:
    with pytest.raises(ValueError, match="PUBLIC_URL"):
        read(PUBLIC_URL=url)


def test_cookies_need_tls_unless_the_public_url_or_a_laptop_says_otherwise() -> None:
    assert read().https
    assert read(PUBLIC_URL="https://a.test").https
    assert not read(PUBLIC_URL="http://a.test").https
    assert not read(ENV="dev").https
    assert read(ENV="dev", PUBLIC_URL="https://a.test").https


def test_an_identity_provider_needs_tls_a_client_and_where_to_come_back() -> None:
    found = read(**OIDC, OIDC_CA_FILE="/ca.crt", OIDC_CLIENT_SECRET="hush").oidc
    assert found is not None
    assert (found.issuer, found.ca_file) == ("https://id.example.org", "/ca.crt")
    assert "hush" not in repr(found)
    for missing in ("OIDC_CLIENT_ID", "PUBLIC_URL"):
        with pytest.raises(ValueError, match=missing):
            read(**{**OIDC, missing: ""})
    with pytest.raises(ValueError, match="OIDC_ISSUER"):
        read(**{**OIDC, "OIDC_ISSUER": "http://id.example.org"})
