"""People sign in to a chat by a product of others: Dex, which runs beside the node under an
authority of its own and has a public client for the chats. It concerns all workspaces, so nothing
else goes on meanwhile."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from localcluster.node.layout import REGISTRY
from tests import dex
from tests.browser import running_chromium
from tests.dex import Dex, Person
from tests.e2e.chat_sign_in import ChatDoor, SignedIn
from tests.e2e.conftest import (
    ANSWER,
    DOMAIN,
    QUESTION,
    RESOURCE,
    SECOND,
    SYSTEM,
    TENANT,
    Node,
    resource_of,
    signed_in,
)
from tests.e2e.test_network import CHAT
from tests.e2e.test_people import AUTHORITIES, authorities, await_variable
from tests.e2e.webui import WebUI
from tests.e2e.workspace import platform

pytestmark = [pytest.mark.usefixtures("whole_node", "sign_in_settings"), pytest.mark.slow]
PEOPLE: Final = (
    Person("ann", ("chatters", "readers")),
    Person("bea", ("chatters",)),
    Person("dan", ("chatters",), domain="b.example.org"),
    Person("eve", ("others",)),
    Person("hal", ("heads",)),
    Person("una"),
    Person("vic", ("chatters",)),
)
SCOPES: Final = "openid email profile groups"
_PATIENCE_MILLISECONDS: Final = 90_000


@pytest.fixture(scope="module")
def provider(
    node: Node, whole_node: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dex]:
    """Dex at an address outside the cluster, which pods reach."""
    assert whole_node is None
    urls = [
        node.kube.get("aiws", resource, "-n", SYSTEM)["status"]["url"]
        for resource in (RESOURCE, resource_of(SECOND))
    ]
    callbacks = [f"{url}/oauth/oidc/callback" for url in urls]
    folder = tmp_path_factory.mktemp("dex")
    with dex.serving(folder, PEOPLE, callbacks, address=REGISTRY) as running:
        yield running


@pytest.fixture(scope="module")
def sign_in_settings(node: Node, provider: Dex) -> Iterator[None]:
    """The settings of the platform, which both workspaces have followed."""
    node.kube.apply(authorities(provider.ca_file))
    settings: dict[str, Any] = {
        "trustedAuthorities": {"configMapName": AUTHORITIES},
        "signIn": {
            "oidc": {
                "providerURL": f"{provider.issuer}/.well-known/openid-configuration",
                "clientID": dex.CLIENT_ID,
                "extraScopes": ["groups"],
                "providerName": "Dex",
                "roles": {"claim": "groups", "allowed": ["chatters"], "admin": ["heads"]},
                "groups": {"create": True},
                "allowedDomains": ["example.org"],
                "verifiedEmailClaim": "email",
            },
            "passwordForm": False,
        },
    }
    platform(node, settings)
    for tenant in (TENANT, SECOND):
        await_variable(node, tenant, "OAUTH_SCOPES", SCOPES)
    yield
    platform(node, dict.fromkeys(settings))
    node.kube.delete("configmap", AUTHORITIES, SYSTEM)
    for tenant in (TENANT, SECOND):
        await_variable(node, tenant, "OAUTH_SCOPES", None)


@pytest.fixture
def door(node: Node, provider: Dex) -> Iterator[ChatDoor]:
    """The chat's way in; what the chat and Dex have logged is part of a failure."""
    yield ChatDoor(f"{TENANT}.{DOMAIN}", provider.ca_file)
    print(node.kubectl("logs", "-n", TENANT, CHAT, "-c", "openwebui", "--tail=40"))
    print(provider.log.read_text()[-5000:])


@pytest.fixture
def administrator(node: Node) -> WebUI:
    """The first administrator, by the password that the operator has made."""
    return signed_in(node, TENANT)


def comes(door: ChatDoor, provider: Dex, name: str) -> SignedIn:
    return door.sign_in(partial(provider.sign_in, name=name))


def test_in_a_browser_a_person_signs_in_at_dex_and_chats(node: Node, provider: Dex) -> None:
    url = node.kube.get("aiws", RESOURCE, "-n", SYSTEM)["status"]["url"]
    with running_chromium(f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1") as browser:
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        page.goto(f"{url}/auth")
        button = page.get_by_role("button", name="Dex")
        expect(button).to_be_visible(timeout=_PATIENCE_MILLISECONDS)
        expect(page.locator("input[type=password]")).to_have_count(0)
        button.click()
        provider.fill_in(page, "bea")
        page.locator("#chat-input").wait_for()
        webui = WebUI("http://127.0.0.1", f"{TENANT}.{DOMAIN}")
        webui.token = page.evaluate("localStorage.token")
    assert webui.call("/api/v1/auths/")["email"] == "bea@example.org"
    assert ANSWER in webui.ask("gemma2:2b", QUESTION)


@pytest.mark.parametrize(("name", "role"), [("ann", "user"), ("hal", "admin"), ("una", "pending")])
def test_groups_of_dex_are_the_roles(door: ChatDoor, provider: Dex, name: str, role: str) -> None:
    person = comes(door, provider, name)
    assert (person.error, door.role(person)) == ("", role)


def test_a_person_with_other_groups_is_refused(door: ChatDoor, provider: Dex) -> None:
    eve = comes(door, provider, "eve")
    assert eve.token == ""
    assert "do not have permission" in eve.error


def test_an_address_of_another_domain_is_refused(door: ChatDoor, provider: Dex) -> None:
    dan = comes(door, provider, "dan")
    assert (dan.token, bool(dan.error)) == ("", True)


def test_groups_of_dex_are_groups_of_the_chat(door: ChatDoor, provider: Dex) -> None:
    assert door.groups(comes(door, provider, "ann")) == {"chatters", "readers"}


def test_an_account_with_a_persons_address_becomes_theirs(
    door: ChatDoor, provider: Dex, administrator: WebUI
) -> None:
    account = {
        "name": "Vic",
        "email": "vic@example.org",
        "password": "long enough: 1",
        "role": "user",
    }
    account_id = administrator.call("/api/v1/auths/add", account)["id"]
    vic = comes(door, provider, "vic")
    assert door.get("/api/v1/auths/", vic.token).json()["id"] == account_id


def test_administrators_find_no_secret_of_the_client(administrator: WebUI) -> None:
    known = administrator.call("/api/v1/auths/admin/config/oauth")
    assert known["OAUTH_CLIENT_ID"] == dex.CLIENT_ID
    assert not known["OAUTH_CLIENT_SECRET"]


def test_a_code_of_a_sign_in_is_worth_nothing_without_the_browsers_session(
    door: ChatDoor, provider: Dex
) -> None:
    """By PKCE: who has seen the address that the browser comes back to gets no tokens by it."""
    seen = []

    def visit(address: str) -> str:
        back = provider.sign_in(address, "ann")
        seen.append(back)
        redirect_uri, _, query = back.partition("?")
        (code,) = parse_qs(query)["code"]
        for form in ({}, {"code_verifier": "a" * 43}):
            answer = provider.redeem(code, redirect_uri=redirect_uri, **form)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        return back

    assert door.role(door.sign_in(visit)) == "user", "the browser's own chat still redeems it"
    assert urlsplit(seen[0]).hostname == door.host
