"""The console's pages against a real API server: with a person's own token and permissions."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.integration.api.served import TEAMS, Person, Served, person
from tests.integration.conftest import Cluster

NAME = "console-chat"
TEAM = TEAMS[0]
PATH = f"/workspaces/{NAME}"
QUERY = f"?team={TEAM}"


@pytest.fixture
def browser(api: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=api.url, timeout=30, trust_env=False) as client:
        yield client


def sign_in(browser: httpx2.Client, person: Person) -> str:
    """Sign in, and return the token that forms carry."""
    response = browser.post("/login", data={"token": person.token, "next": "/new"})
    assert (response.status_code, response.headers["Location"]) == (303, "/new")
    return str(browser.get("/api/v1/session").json()["csrfToken"])


def test_a_workspace_is_created_changed_and_deleted_by_forms(
    browser: httpx2.Client, boss: Person, cluster: Cluster
) -> None:
    csrf = {"csrf": sign_in(browser, boss)}
    wrong = browser.post("/new", data={**csrf, "name": "Console", "team": TEAM})
    assert wrong.status_code == 422
    created = browser.post("/new", data={**csrf, "name": NAME, "team": TEAM, "models": "m:1"})
    assert (created.status_code, created.headers["Location"]) == (303, PATH + QUERY)
    assert cluster.get("aiws", NAME, "-n", TEAM)["spec"]["models"] == ["m:1"]
    assert NAME in browser.get("/").text
    for action, is_suspended in (("suspend", True), ("resume", False)):
        changed = browser.post(f"{PATH}/{action}{QUERY}", data=csrf)
        assert (changed.status_code, changed.headers["Location"]) == (303, PATH + QUERY)
        assert cluster.get("aiws", NAME, "-n", TEAM)["spec"]["suspended"] is is_suspended
    assert browser.get(PATH + QUERY).status_code == 200
    deleted = browser.post(f"{PATH}/delete{QUERY}", data={**csrf, "confirm": NAME})
    assert (deleted.status_code, deleted.headers["Location"]) == (303, "/")
    assert f'href="{PATH}' not in browser.get("/").text


def test_who_may_do_nothing_sees_nothing_and_creates_nothing(
    browser: httpx2.Client, cluster: Cluster
) -> None:
    csrf = {"csrf": sign_in(browser, person(cluster, "console-nobody", []))}
    assert "Ask an administrator" in browser.get("/").text
    refused = browser.post("/new", data={**csrf, "name": NAME, "team": TEAM})
    assert refused.status_code == 403
    assert NAME not in cluster.kubectl("get", "aiws", "-n", TEAM, "-o", "name")
