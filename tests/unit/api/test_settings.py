import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.api.settings import AUDIENCE, Bounds, Settings

OIDC = {
    "OIDC_ISSUER": "https://id.example.org/",
    "OIDC_CLIENT_ID": "aichat",
    "PUBLIC_URL": "https://aichat.example.org/",
}


def read(**environment: str) -> Settings:
    return Settings.read(environment, in_cluster=True)


def test_a_pod_listens_on_all_addresses_and_a_laptop_on_loopback() -> None:
    laptop = Settings.read({}, in_cluster=False)
    assert (read().address, read().dev) == ("", False)
    assert (laptop.address, laptop.dev) == ("127.0.0.1", True)
    assert read(ENV="dev").address == "127.0.0.1"
    assert read(ENV="dev", API_ADDRESS="0.0.0.0").address == "0.0.0.0"  # noqa: S104


def test_missing_or_empty_variables_have_their_defaults() -> None:
    settings = read(API_PORT="", API_AUDIENCE="", KUBECONFIG="", API_BURST="")
    assert settings.port == 8090
    assert settings.audience == AUDIENCE
    assert settings.kubeconfig is None
    assert settings.bounds == Bounds()
    assert settings.oidc is None
    assert settings.version


def test_bounds_are_read() -> None:
    settings = read(
        API_BODY_BYTES="1",
        API_REQUESTS_PER_SECOND="2",
        API_BURST="3",
        API_STREAMS_PER_CALLER="4",
        API_STREAMS="5",
        API_ANONYMOUS_PER_SECOND="6",
        API_ANONYMOUS_BURST="7",
        API_LISTS_PER_CALLER="8",
        API_LISTS="9",
        API_ALL_BODIES_BYTES="10",
        API_CONNECTIONS_PER_ADDRESS="11",
        API_CONNECTIONS="12",
        API_BODIES_BYTES_PER_CALLER="13",
        API_CONCURRENT_REQUESTS="14",
        API_REVIEWS_PER_SECOND="15",
        API_REVIEW_BURST="16",
        API_ANSWERS_BYTES_PER_CALLER="17",
        API_ALL_ANSWERS_BYTES="18",
    )
    assert settings.bounds == Bounds(*range(1, 19))


class RecordingEnvironment(dict[str, str]):
    """An environment that records which variables are read."""

    def get(self, name: str, default: Any = None) -> Any:
        self[name] = value = super().get(name, default)
        return value


def test_every_variable_is_documented_with_its_default() -> None:
    environment = RecordingEnvironment(OIDC)
    Settings.read(environment, in_cluster=True)
    page = Path("docs/api.md").read_text()
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^`|]*)`? \|", page, re.MULTILINE))
    assert set(documented) == set(environment)
    bounds = Bounds()
    assert {
        **{f"API_{name.upper()}": f"{value:.0f}" for name, value in asdict(bounds).items()},
        "API_PORT": str(read().port),
        "API_AUDIENCE": AUDIENCE,
        "API_SESSION_MINUTES": str(read().session_seconds // 60),
    }.items() <= documented.items()


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "٣x"])
def test_a_bad_number_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ValueError, match="API_PORT"):
        read(API_PORT=text)


def test_the_longest_session_is_eight_hours_unless_set() -> None:
    assert read().session_seconds == 8 * 3600
    assert read(API_SESSION_MINUTES="90").session_seconds == 90 * 60


def test_no_proxy_is_trusted_by_default() -> None:
    assert read().proxies == ()
    proxies = read(API_TRUSTED_PROXIES="10.0.0.0/8, fd00::/8,192.0.2.1,").proxies
    assert list(map(str, proxies)) == ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"]
    for bad in ("*", "ingress", "10.0.0.1/8"):
        with pytest.raises(ValueError, match="API_TRUSTED_PROXIES"):
            read(API_TRUSTED_PROXIES=bad)


def test_the_public_url_is_an_origin() -> None:
    assert read(PUBLIC_URL="https://aichat.example.org/").public_url == "https://aichat.example.org"
    assert read().public_url is None


@pytest.mark.parametrize(
    "url", ["aichat.example.org", "ftp://a", "https://", "https://a/b", "https://a?b", "http://u@a"]
)
def test_an_invalid_public_url_is_refused_by_its_name(url: str) -> None:
    with pytest.raises(ValueError, match="PUBLIC_URL"):
        read(PUBLIC_URL=url)


def test_https_is_the_default_except_on_a_laptop_or_for_an_http_url() -> None:
    assert read().https
    assert read(PUBLIC_URL="https://a.test").https
    assert not read(PUBLIC_URL="http://a.test").https
    assert not read(ENV="dev").https
    assert read(ENV="dev", PUBLIC_URL="https://a.test").https


def test_an_identity_provider_needs_tls_a_client_and_a_public_url() -> None:
    provider = read(**OIDC, OIDC_CA_FILE="/ca.crt", OIDC_CLIENT_SECRET="hush").oidc
    assert provider is not None
    assert (provider.issuer, provider.ca_file) == ("https://id.example.org", "/ca.crt")
    assert "hush" not in repr(provider)
    for missing in ("OIDC_CLIENT_ID", "PUBLIC_URL"):
        with pytest.raises(ValueError, match=missing):
            read(**{**OIDC, missing: ""})
    with pytest.raises(ValueError, match="OIDC_ISSUER"):
        read(**{**OIDC, "OIDC_ISSUER": "http://id.example.org"})
