"""Accounts in chats, made by the API."""

import base64
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
import pytest
from structlog.testing import capture_logs

from aichat_workspace.api.workspaces.chat_accounts import new_password
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME
from aichat_workspace.openwebui.client import Reply
from tests.fakes.openwebui import EMAIL, PASSWORD
from tests.unit.api.routes.calling import Cluster, calling

PATH: Final = "/api/v1/workspaces/red:inviteToChat"
BO: Final = {"email": "Bo@Example.org", "name": "Bo"}
URL: Final = "https://red.example.org"
OIDC: Final = {"oidc": {"providerURL": "https://id.example.org", "clientID": "chats"}}
ADD: Final = "POST /api/v1/auths/add"
SIGN_IN: Final = "POST /api/v1/auths/signin"


@asynccontextmanager
async def inviting(**parts: Any) -> AsyncIterator[tuple[Cluster, httpx2.AsyncClient]]:
    """Yield a cluster with the workspace `red`, whose credentials are the chat's."""
    async with calling() as (cluster, client):
        data = {"WEBUI_ADMIN_EMAIL": EMAIL, "WEBUI_ADMIN_PASSWORD": PASSWORD}
        cluster.stored = {
            "metadata": {"annotations": {names.OWNER_UID_ANNOTATION: "uid-of-red"}},
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
        }
        status = {"url": URL, **parts.pop("status", {})}
        cluster.put_tenant("red", "team-red", status=status, **parts)
        cluster.services.cluster._synced.set()  # who sends a body is known before its route is
        client.headers["Authorization"] = "Bearer ann"
        yield cluster, client


def put_platform(cluster: Cluster, spec: dict[str, Any]) -> None:
    metadata = {"name": PLATFORM_NAME, "resourceVersion": "1"}
    cluster.services.cluster._platform._store.put({"metadata": metadata, "spec": spec})


def failing(request: str, reply: Reply | Exception) -> Callable[[str], Reply | None]:
    def fail(received: str) -> Reply | None:
        if received != request:
            return None
        if isinstance(reply, Exception):
            raise reply
        return reply

    return fail


async def test_an_account_is_made_and_its_password_shown_once() -> None:
    async with inviting() as (cluster, client):
        with capture_logs() as lines:
            answer = await client.post(PATH, json=BO)
        account = answer.json()
        password = account.pop("password")
        assert answer.status_code == 201
        assert answer.headers["Cache-Control"] == "no-store"
        assert account == {"url": URL, "email": "bo@example.org", "name": "Bo", "role": "user"}
        assert cluster.chat.accounts == {
            "bo@example.org": {"name": "Bo", "password": password, "role": "user"}
        }
        assert PASSWORD not in answer.text.replace(password, "")
    (line,) = [line for line in lines if line["event"] == "audit"]
    about = {"action": "invite_to_chat", "workspace": "red", "team": "team-red"}
    who = {"email": "bo@example.org", "role": "user", "outcome": 201}
    assert line.items() >= {**about, **who}.items()
    assert password not in str(lines)


async def test_the_address_is_the_name_of_who_has_none_and_an_administrator_is_made_on_demand() -> (
    None
):
    async with inviting() as (cluster, client):
        answer = await client.post(PATH, json={"email": "eve@example.org", "role": "admin"})
    assert (answer.json()["name"], answer.json()["role"]) == ("eve@example.org", "admin")
    assert cluster.chat.accounts["eve@example.org"]["role"] == "admin"


def test_each_password_is_new_and_passes_open_webuis_own_rule() -> None:
    passwords = {new_password() for _ in range(100)}
    assert len(passwords) == 100
    rule = r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[^\w\s]).{8,72}$"
    assert all(re.match(rule, password) for password in passwords)


async def test_who_may_read_credentials_may_invite_and_nobody_else() -> None:
    async with inviting() as (cluster, client):
        cluster.allows = lambda review: review.get("subresource") != "credentials"
        answer = await client.post(PATH, json=BO)
        assert (answer.status_code, cluster.chat.requests) == (403, [])
        assert "get aichatworkspaces/credentials" in answer.json()["detail"]
    reviews = [review for review in cluster.reviews if review.get("subresource")]
    assert {(review["verb"], review["subresource"]) for review in reviews} == {
        ("get", "credentials")
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "bo"}, "email"),
        ({"email": "bo@example"}, "email"),
        ({"email": "bo @example.org"}, "email"),
        ({"email": f"{'b' * 250}@example.org"}, "email"),
        ({**BO, "name": "Bo\n"}, "name"),
        ({**BO, "role": "pending"}, "role"),
        ({**BO, "password": "mine"}, "password"),
    ],
)
async def test_a_wrong_invitation_is_refused_before_the_chat_is_asked(
    body: dict[str, str], field: str
) -> None:
    async with inviting() as (cluster, client):
        answer = await client.post(PATH, json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert cluster.chat.requests == []


@pytest.mark.parametrize("email", ["bo@example.org", "BO@EXAMPLE.ORG", EMAIL])
async def test_an_address_that_has_an_account_is_a_conflict(email: str) -> None:
    async with inviting() as (cluster, client):
        await client.post(PATH, json=BO)
        before = dict(cluster.chat.accounts)
        answer = await client.post(PATH, json={"email": email})
        assert (answer.status_code, answer.json()["code"]) == (409, "account-exists")
        assert "Admin Panel, Users" in answer.json()["detail"]
        assert cluster.chat.accounts == before


@pytest.mark.parametrize(
    ("parts", "fix"),
    [
        ({"spec": {"suspended": True}}, "Resume it first"),
        ({"status": {"phase": "Suspended"}}, "spec.expiresAfter"),
    ],
)
async def test_a_suspended_chat_is_not_asked(parts: dict[str, Any], fix: str) -> None:
    async with inviting(**parts) as (cluster, client):
        answer = await client.post(PATH, json=BO)
    assert (answer.status_code, answer.json()["code"]) == (409, "suspended")
    assert fix in answer.json()["detail"]
    assert cluster.chat.requests == []


async def test_a_workspace_without_credentials_has_no_chat_yet() -> None:
    async with inviting() as (cluster, client):
        cluster.stored = {"metadata": {}}
        answer = await client.post(PATH, json=BO)
    assert (answer.status_code, answer.json()["code"]) == (409, "not-provisioned")


@pytest.mark.parametrize("fault", [TimeoutError(), ConnectionRefusedError("10.1.2.3"), 503])
async def test_a_chat_that_does_not_answer_is_asked_again_later(fault: Exception | int) -> None:
    async with inviting() as (cluster, client):
        reply = Reply(fault, b"") if isinstance(fault, int) else fault
        cluster.chat.fail = failing(SIGN_IN, reply)
        answer = await client.post(PATH, json=BO)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert "workspaces/red/diagnosis" in answer.json()["detail"]
    assert "10.1.2.3" not in answer.text


async def test_a_lost_answer_leaves_it_open_whether_there_is_an_account() -> None:
    async with inviting() as (cluster, client):
        cluster.chat.fail = failing(ADD, TimeoutError())
        with capture_logs() as lines:
            answer = await client.post(PATH, json=BO)
    assert answer.status_code == 503
    assert "It is unknown whether bo@example.org has an account" in answer.json()["detail"]
    (line,) = [line for line in lines if line["event"] == "audit"]
    assert "unknown" in line["note"]


@pytest.mark.parametrize(
    ("access", "fix"),
    [({}, "red:resetPassword"), ({"adminSecretName": "boss"}, "into Secret 'boss'")],
)
async def test_a_password_that_was_changed_in_the_chat_has_a_fix(
    access: dict[str, str], fix: str
) -> None:
    async with inviting(spec={"access": access}) as (cluster, client):
        cluster.chat.password = "another"
        answer = await client.post(PATH, json=BO)
    assert (answer.status_code, answer.json()["code"]) == (409, "administrator-refused")
    assert fix in answer.json()["detail"]
    assert EMAIL in answer.json()["detail"]


async def test_an_administrator_who_is_none_any_more_has_a_fix() -> None:
    async with inviting() as (cluster, client):
        cluster.chat.is_administrator = False
        answer = await client.post(PATH, json=BO)
    assert (answer.status_code, answer.json()["code"]) == (409, "administrator-refused")
    assert "role again" in answer.json()["detail"]


@pytest.mark.parametrize("request_", [SIGN_IN, ADD])
async def test_another_error_of_the_chat_is_told_without_addresses(request_: str) -> None:
    async with inviting() as (cluster, client):
        cluster.chat.fail = failing(request_, Reply(500, b'{"detail":"no disk at 10.1.2.3"}'))
        answer = await client.post(PATH, json=BO)
    assert (answer.status_code, answer.json()["code"]) == (502, "chat-error")
    assert answer.json()["detail"] == "The chat refuses: no disk at …"


@pytest.mark.parametrize("is_platforms", [False, True])
async def test_without_a_password_form_a_password_is_of_no_use(is_platforms: bool) -> None:
    own = {} if is_platforms else {"access": {**OIDC, "passwordForm": False}}
    async with inviting(spec=own) as (cluster, client):
        if is_platforms:
            put_platform(cluster, {"signIn": {**OIDC, "passwordForm": False}})
        answer = await client.post(PATH, json=BO)
        assert (answer.status_code, answer.json()["code"]) == (409, "no-password-form")
        assert "spec.access.passwordForm" in answer.json()["detail"]
        assert cluster.chat.requests == []


async def test_beside_a_provider_the_password_form_takes_new_accounts() -> None:
    async with inviting(spec={"access": OIDC}) as (_, client):
        assert (await client.post(PATH, json=BO)).status_code == 201
