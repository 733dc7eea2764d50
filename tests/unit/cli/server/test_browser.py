"""Sign-in with the browser of this machine (RFC 8252)."""

import ssl
import threading
import webbrowser
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.server import browser
from aichat_workspace.cli.server.provider import Provider
from aichat_workspace.foundation.tokens import claims
from tests.integration.oidc_provider import CLIENT_ID
from tests.integration.oidc_provider import Provider as Idp

Open = Callable[[str], None]


@pytest.fixture
def open_page(trust: ssl.SSLContext) -> Open:
    """A browser whose person signs in at once."""

    def open_page(address: str) -> None:
        threading.Thread(target=lambda: follow(address, trust), daemon=True).start()

    return open_page


def follow(address: str, trust: ssl.SSLContext) -> httpx2.Response:
    with httpx2.Client(verify=trust, trust_env=False) as http:
        redirect = http.get(address)
        return http.get(redirect.headers["Location"])


def query_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_the_tokens_are_those_of_the_person_who_has_signed_in(
    provider: Provider, idp: Idp, open_page: Open
) -> None:
    addresses: list[str] = []

    def opened(address: str) -> None:
        addresses.append(address)
        open_page(address)

    tokens = browser.sign_in(provider, opened, 20)
    sent = query_of(addresses[0])
    assert sent["code_challenge_method"] == "S256"
    assert sent["redirect_uri"].startswith("http://127.0.0.1:")
    assert claims(tokens.id_token)["nonce"] == sent["nonce"]
    assert claims(tokens.id_token)["sub"] == idp.person
    assert tokens.refresh_token in idp.good.values()


def test_a_person_who_says_no_is_not_signed_in(
    provider: Provider, idp: Idp, open_page: Open
) -> None:
    idp.refusal = "access_denied"
    with pytest.raises(CliError) as caught:
        browser.sign_in(provider, open_page, 20)
    assert caught.value.code is ExitCode.FORBIDDEN
    assert caught.value.why == ("the identity provider says no: access_denied",)


def test_without_an_answer_it_ends_and_listens_no_longer(provider: Provider) -> None:
    addresses: list[str] = []
    with pytest.raises(CliError) as caught:
        browser.sign_in(provider, addresses.append, 0.05)
    assert caught.value.code is ExitCode.TIMED_OUT
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(query_of(addresses[0])["redirect_uri"], trust_env=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "another"},
        {"state": ""},
        {"path": "/"},
        {"host": "evil.example.org"},
    ],
)
def test_only_the_answer_to_this_sign_in_on_this_address_is_taken(
    provider: Provider, open_page: Open, wrong: dict[str, str]
) -> None:
    statuses: list[int] = []

    def opened(address: str) -> None:
        sent = query_of(address)
        target = sent["redirect_uri"].replace("/callback", wrong.get("path", "/callback"))
        query = urlencode({"code": "stolen", "state": wrong.get("state", sent["state"])})
        headers = {"Host": wrong["host"]} if "host" in wrong else {}
        answer = httpx2.get(f"{target}?{query}", headers=headers, trust_env=False)
        statuses.append(answer.status_code)
        open_page(address)

    tokens = browser.sign_in(provider, opened, 20)
    assert statuses == [404]
    assert claims(tokens.id_token)["sub"] == "ann"


def test_the_page_that_the_browser_ends_at_runs_nothing_and_tells_nothing(
    provider: Provider, trust: ssl.SSLContext
) -> None:
    answers: list[httpx2.Response] = []

    def opened(address: str) -> None:
        answers.append(follow(address, trust))

    browser.sign_in(provider, opened, 20)
    assert answers[0].headers["Content-Security-Policy"] == "default-src 'none'"
    assert answers[0].headers["Referrer-Policy"] == "no-referrer"
    assert "close this page" in answers[0].text


@pytest.mark.parametrize(
    "claimed",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"aud": ["another", CLIENT_ID]},
        {"aud": ["another", CLIENT_ID], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://evil.example.org"},
    ],
)
def test_a_token_of_another_sign_in_is_not_taken(
    provider: Provider,
    idp: Idp,
    open_page: Open,
    claimed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = idp.token
    token: Callable[..., str] = lambda **claims: usual(**{**claims, **claimed})  # noqa: E731
    monkeypatch.setattr(idp, "token", token)
    with pytest.raises(CliError) as caught:
        browser.sign_in(provider, open_page, 20)
    assert caught.value.why[0].endswith("fails: it gave a token of another sign-in")


def test_another_providers_answer_is_not_taken(provider: Provider, idp: Idp) -> None:
    """RFC 9207: its code must not be sent to this one."""

    def opened(address: str) -> None:
        sent = query_of(address)
        query = urlencode({"code": "a", "state": sent["state"], "iss": "https://evil.example.org"})
        httpx2.get(f"{sent['redirect_uri']}?{query}", trust_env=False)

    before = len(idp.codes)
    with pytest.raises(CliError) as caught:
        browser.sign_in(provider, opened, 20)
    assert caught.value.why[0].endswith("another provider has answered")
    assert len(idp.codes) == before


@pytest.mark.parametrize(("name", "expected"), [("firefox", True), ("w3m", False), (None, False)])
def test_a_browser_in_the_terminal_is_none_for_a_sign_in(
    name: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get() -> Any:
        if name is None:
            raise webbrowser.Error
        is_window = name == "firefox"
        return webbrowser.BackgroundBrowser(name) if is_window else webbrowser.GenericBrowser(name)

    monkeypatch.setattr(webbrowser, "get", get)
    assert browser.can_open() is expected
