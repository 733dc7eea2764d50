"""People sign in to a chat by the platform's identity provider, which runs beside the node under an
authority of its own. It concerns all workspaces, so nothing else goes on meanwhile."""

import ast
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from aichat_workspace.documentation.chat_settings import DERIVED, SETTINGS
from localcluster.node.layout import REGISTRY
from tests.browser import running_chromium
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
    wait_ready,
)
from tests.e2e.test_network import CHAT, MODELS, reaches
from tests.e2e.webui import WebUI
from tests.e2e.workspace import condition, patch, platform
from tests.integration import oidc_provider
from tests.integration.oidc_provider import Provider
from tests.waiting import eventually

pytestmark = [pytest.mark.usefixtures("whole_node", "sign_in_settings"), pytest.mark.slow]
CLIENT_SECRET: Final = "platform-login"
AUTHORITIES: Final = "login-authorities"
SCIM: Final = "/api/v1/scim/v2/Users"
LOCALE: Final = "ui.default_locale"
_PATIENCE_MILLISECONDS: Final = 90_000


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory, whole_node: None) -> Iterator[Provider]:
    """A provider at an address outside the cluster, which pods reach."""
    assert whole_node is None
    with oidc_provider.serving(tmp_path_factory.mktemp("provider"), REGISTRY) as running:
        running.client_secret = "a secret: with/signs"
        yield running


@pytest.fixture(scope="module")
def sign_in_settings(node: Node, provider: Provider) -> Iterator[None]:
    """The settings of the platform, which both workspaces have followed."""
    for document in (_client_secret(provider), authorities(provider.ca_file)):
        node.kube.apply(document)
    settings = {
        "trustedAuthorities": {"configMapName": AUTHORITIES},
        "signIn": {
            "oidc": {
                "providerURL": f"{provider.issuer}/.well-known/openid-configuration",
                "clientID": oidc_provider.CLIENT_ID,
                "secretName": CLIENT_SECRET,
                "providerName": "Example",
                "roles": {"allowed": ["chatters"], "admin": ["heads"]},
                "groups": {"create": True},
                "allowedDomains": ["example.org"],
                "verifiedEmailClaim": "verified_email",
            },
            "passwordForm": False,
            "apiKeys": True,
            "scim": True,
        },
    }
    platform(node, settings)
    await_variable(node, TENANT, "ENABLE_SCIM", "true")
    await_variable(node, SECOND, "ENABLE_SCIM", "true")
    yield
    platform(node, dict.fromkeys(settings))
    node.kube.delete("secret", CLIENT_SECRET, SYSTEM)
    node.kube.delete("configmap", AUTHORITIES, SYSTEM)
    await_variable(node, TENANT, "ENABLE_SCIM", None)
    await_variable(node, SECOND, "ENABLE_SCIM", None)


def _client_secret(provider: Provider) -> dict[str, Any]:
    marks = {"apps.aichatworkspaces.io/for-workspace": "*"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CLIENT_SECRET, "namespace": SYSTEM, "annotations": marks},
        "stringData": {"clientSecret": provider.client_secret},
    }


def authorities(ca_file: Path) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": AUTHORITIES, "namespace": SYSTEM},
        "data": {"ca.crt": ca_file.read_text()},
    }


def await_variable(node: Node, tenant: str, name: str, value: str | None) -> None:
    """Wait until the chat runs with it."""

    def follow() -> bool:
        chat = node.kube.get("deployment", f"{tenant}-openwebui", "-n", tenant)
        variables = chat["spec"]["template"]["spec"]["containers"][0]["env"]
        known = {entry["name"]: entry.get("value") for entry in variables}
        return known.get(name) == value

    eventually(follow, f"{tenant} has {name}={value}", 400, lambda: node.story(tenant))
    node.kubectl(
        *("rollout", "status", f"deployment/{tenant}-openwebui", "-n", tenant, "--timeout=170s")
    )
    wait_ready(node, resource_of(tenant), tenant)


@pytest.fixture
def door(node: Node, provider: Provider) -> Iterator[ChatDoor]:
    """The chat's way in; what the chat has logged is part of a failure."""
    yield ChatDoor(f"{TENANT}.{DOMAIN}", provider.ca_file)
    print(node.kubectl("logs", "-n", TENANT, CHAT, "-c", "openwebui", "--tail=40"))


@pytest.fixture
def administrator(node: Node) -> WebUI:
    """The first administrator, by the password that the operator has made."""
    return signed_in(node, TENANT)


def comes(door: ChatDoor, provider: Provider, name: str, **claims: object) -> SignedIn:
    """Sign a person in of whom the provider says this."""
    address = f"{name}@example.org"
    provider.person = f"sub-of-{name}"
    provider.claims = {"name": name, "email": address, "verified_email": address, **claims}
    return door.sign_in()


def asks(door: ChatDoor, token: str) -> str:
    """The likeliest reply of the first model."""
    webui = WebUI("http://127.0.0.1", door.host)
    webui.token = token
    return webui.ask("gemma2:2b", QUESTION)


def test_the_chat_reaches_the_provider_and_its_models_do_not(
    node: Node, provider: Provider
) -> None:
    port = urlsplit(provider.issuer).port
    assert port is not None
    assert reaches(node, CHAT, REGISTRY, port)
    assert not reaches(node, MODELS, REGISTRY, port)


def test_a_person_with_an_allowed_role_signs_in_and_chats(
    door: ChatDoor, provider: Provider
) -> None:
    ann = comes(door, provider, "ann", roles=["chatters", "others"])
    assert (ann.error, door.role(ann)) == ("", "user")
    assert ANSWER in asks(door, ann.token)


def test_a_person_with_other_roles_is_refused(door: ChatDoor, provider: Provider) -> None:
    eve = comes(door, provider, "eve", roles=["others"])
    assert eve.token == ""
    assert "do not have permission" in eve.error


def test_a_person_without_any_role_waits_for_an_administrator(
    door: ChatDoor, provider: Provider
) -> None:
    una = comes(door, provider, "una")
    assert door.role(una) == "pending"
    assert door.get("/api/models", una.token).status_code == 401


def test_an_administrators_role_makes_an_administrator_until_it_is_taken_away(
    door: ChatDoor, provider: Provider
) -> None:
    hal = comes(door, provider, "hal", roles=["heads"])
    assert door.role(hal) == "admin"
    assert door.role(comes(door, provider, "hal", roles=["chatters"])) == "user"


def test_groups_arrive_and_follow(door: ChatDoor, provider: Provider, administrator: WebUI) -> None:
    known = {"roles": ["chatters"]}
    gus = comes(door, provider, "gus", groups=["readers", "writers"], **known)
    assert door.groups(gus) == {"readers", "writers"}
    assert door.groups(comes(door, provider, "gus", groups=["writers"], **known)) == {"writers"}
    assert door.groups(comes(door, provider, "gus", groups=[], **known)) == {"writers"}, (
        "docs/oidc.md"
    )
    known_groups = {group["name"] for group in administrator.call("/api/v1/groups/")}
    assert known_groups >= {"readers", "writers"}


def test_an_address_of_another_domain_is_refused(door: ChatDoor, provider: Provider) -> None:
    dan = comes(door, provider, "dan", roles=["chatters"], verified_email="dan@b.example.org")
    assert (dan.token, bool(dan.error)) == ("", True)


def test_nobody_is_known_by_an_address_that_is_not_verified(
    door: ChatDoor, provider: Provider
) -> None:
    """Else they would get the account that has the address."""
    victim = comes(door, provider, "vic", roles=["chatters"])
    account = door.get("/api/v1/auths/", victim.token).json()["id"]
    provider.person = "sub-of-another"
    provider.claims = {"name": "vic", "email": "vic@example.org", "roles": ["chatters"]}
    assert door.sign_in().token == ""
    provider.claims["verified_email"] = "vic@example.org"
    merged = door.sign_in()
    assert door.get("/api/v1/auths/", merged.token).json()["id"] == account


def test_the_form_is_off_and_the_operator_still_signs_in(
    node: Node, door: ChatDoor, administrator: WebUI
) -> None:
    assert door.get("/api/config").json()["features"]["enable_login_form"] is False
    assert administrator.call("/api/v1/auths/")["role"] == "admin"
    eventually(
        lambda: condition(node, RESOURCE, "ToolsOffered")["status"] == "True",
        "the operator has looked at the models' entries",
        180,
        lambda: node.story(TENANT),
    )


def test_in_a_browser_the_button_is_the_way_in_and_the_form_is_there_for_who_knows_it(
    node: Node, provider: Provider
) -> None:
    provider.person = "sub-of-bea"
    provider.claims = {"name": "Bea", "verified_email": "bea@example.org", "roles": ["chatters"]}
    url = node.kube.get("aiws", RESOURCE, "-n", SYSTEM)["status"]["url"]
    with running_chromium(f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1") as browser:
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        page.goto(f"{url}/auth?form=true")
        expect(page.locator("input[type=password]")).to_be_visible(timeout=_PATIENCE_MILLISECONDS)
        page.goto(f"{url}/auth")
        button = page.get_by_role("button", name="Example")
        expect(button).to_be_visible(timeout=_PATIENCE_MILLISECONDS)
        expect(page.locator("input[type=password]")).to_have_count(0)
        button.click()
        page.locator("#chat-input").wait_for()


def _scim_token(node: Node) -> str:
    data = node.kube.get("secret", f"{TENANT}-credentials", "-n", SYSTEM)["data"]
    return base64.b64decode(data["SCIM_TOKEN"]).decode()


def test_scim_adds_stops_and_removes_people(node: Node, door: ChatDoor, provider: Provider) -> None:
    token = _scim_token(node)
    user = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "sam@example.org",
        "externalId": "sub-of-sam",
        "displayName": "Sam",
        "emails": [{"value": "sam@example.org", "primary": True}],
        "active": True,
    }
    assert door.send("POST", SCIM, "another", user).status_code == 401
    created = door.send("POST", SCIM, token, user)
    assert created.status_code == 201, created.text
    person = f"{SCIM}/{created.json()['id']}"
    sam = comes(door, provider, "sam", roles=["chatters"])
    account = door.get("/api/v1/auths/", sam.token).json()
    assert (account["id"], account["role"]) == (created.json()["id"], "user")
    assert door.get("/api/models", sam.token).status_code == 200
    assert door.send("PUT", person, token, {**user, "active": False}).status_code == 200
    assert door.get("/api/models", sam.token).status_code == 401, "at once, with the same session"
    assert door.send("DELETE", person, token).status_code in (200, 204)
    assert door.get(person, token).status_code == 404
    assert door.get("/api/v1/auths/", sam.token).status_code == 401


def test_people_make_keys_for_programs(door: ChatDoor, provider: Provider) -> None:
    kim = comes(door, provider, "kim", roles=["chatters"])
    key = door.send("POST", "/api/v1/auths/api_key", kim.token).json()["api_key"]
    assert ANSWER in asks(door, key)


def test_there_is_no_back_channel_logout(door: ChatDoor) -> None:
    """Without Redis it would answer well and end no session (docs/oidc.md)."""
    assert door.send("POST", "/oauth/backchannel-logout").status_code == 404


def test_the_table_of_settings_is_that_of_the_image(node: Node) -> None:
    source = node.kubectl(
        *("exec", "-n", TENANT, CHAT, "-c", "openwebui", "--"),
        *("cat", "/app/backend/open_webui/config.py"),
    )
    keys = _keys(ast.parse(source))
    assert keys
    for setting in SETTINGS:
        if setting.variable in DERIVED:
            assert setting.key in keys.values()
        else:
            assert keys.get(setting.variable, "") == setting.key, setting.variable


def _keys(module: ast.Module) -> dict[str, str]:
    """The keys of settings that administrators change, by the variable that they begin with."""
    for node in module.body:
        match node:
            case ast.Assign([ast.Name("DEFAULT_CONFIG")], ast.Dict(keys, values)):
                return {
                    ast.unparse(value): str(key.value)
                    for key, value in zip(keys, values, strict=True)
                    if isinstance(key, ast.Constant)
                }
    raise AssertionError("there is no DEFAULT_CONFIG")


def test_a_workspace_decides_itself_and_what_was_changed_in_the_chat_is_gone_then(
    node: Node, door: ChatDoor, provider: Provider, administrator: WebUI
) -> None:
    lea = comes(door, provider, "lea", roles=["chatters"])
    key_of_lea = door.send("POST", "/api/v1/auths/api_key", lea.token).json()["api_key"]
    assert door.get("/api/models", key_of_lea).status_code == 200
    changed = administrator.call("/api/v1/configs/import", {"config": {LOCALE: "de-DE"}})
    assert changed[LOCALE] == "de-DE"
    own = {"apiKeys": False, "oidc": {"enabled": False}}
    patch(node, RESOURCE, {"access": own})
    try:
        await_variable(node, TENANT, "ENABLE_API_KEYS", None)
        assert door.get("/api/models", key_of_lea).status_code == 403
        assert door.get("/oauth/oidc/login").status_code == 404
        features = door.get("/api/config").json()["features"]
        assert features["enable_login_form"] is True, "the only way in"
        assert administrator.call("/api/v1/configs/export")[LOCALE] != "de-DE"
        people = administrator.call("/api/v1/users/all")["users"]
        assert "lea@example.org" in {person["email"] for person in people}, "data stay"
    finally:
        patch(node, RESOURCE, {"access": None})
        await_variable(node, TENANT, "ENABLE_SCIM", "true")
