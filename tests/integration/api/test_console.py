"""The console's pages against a real API server: with a person's own token and permissions."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.integration.api.served import TEAMS, Person, Served, person
from tests.integration.conftest import Cluster
from tests.unit.console.markup import parse
from tests.waiting import eventually

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
    assert "/?phase=Pending" in browser.get("/platform").text
    for action, is_suspended in (("suspend", True), ("resume", False)):
        changed = browser.post(f"{PATH}/{action}{QUERY}", data=csrf)
        assert (changed.status_code, changed.headers["Location"]) == (303, PATH + QUERY)
        assert cluster.get("aiws", NAME, "-n", TEAM)["spec"]["suspended"] is is_suspended
    assert browser.get(PATH + QUERY).status_code == 200
    deleted = browser.post(f"{PATH}/delete{QUERY}", data={**csrf, "confirm": NAME})
    assert (deleted.status_code, deleted.headers["Location"]) == (303, "/")
    assert f'href="{PATH}' not in browser.get("/").text


def test_settings_are_saved_as_reviewed_and_lose_no_other_change(
    browser: httpx2.Client, boss: Person, cluster: Cluster
) -> None:
    csrf = {"csrf": sign_in(browser, boss)}
    name, path = "console-settings", f"/workspaces/console-settings/settings{QUERY}"
    created = browser.post("/new", data={**csrf, "name": name, "team": TEAM, "models": "m:1"})
    assert created.status_code == 303
    before = cluster.get("aiws", name, "-n", TEAM)["spec"]
    form = parse(browser.get(path)).form(path)
    assert "nothing to save" in browser.post(path, data=form.values).text
    changed = {**form.values, "storage.ollama.size": "40Gi"}
    review = browser.post(path, data=changed)
    assert (review.status_code, "40Gi" in review.text) == (200, True)
    assert cluster.get("aiws", name, "-n", TEAM)["spec"] == before
    patch = '{"spec": {"expiresAfter": "30d"}}'
    cluster.kubectl("patch", "aiws", name, "-n", TEAM, "--type=merge", "-p", patch)
    eventually(lambda: "30d" in browser.get(path).text, "the API to see the change")
    confirmed = {**parse(review).form(path).values, "save": "1"}
    refused = browser.post(path, data=confirmed)
    assert refused.status_code == 409
    again = {**parse(refused).form(path).values, "save": "1"}
    assert browser.post(path, data=again).status_code == 303
    after = cluster.get("aiws", name, "-n", TEAM)["spec"]
    assert after["storage"]["ollama"] == {"size": "40Gi"}
    others = {field: value for field, value in before.items() if field != "storage"}
    assert {**after, "storage": {}} == {**others, "expiresAfter": "30d", "storage": {}}
    cluster.kubectl("delete", "aiws", name, "-n", TEAM, "--wait=false")


def test_who_may_do_nothing_sees_nothing_and_creates_nothing(
    browser: httpx2.Client, cluster: Cluster
) -> None:
    csrf = {"csrf": sign_in(browser, person(cluster, "console-nobody", []))}
    assert "Ask an administrator" in browser.get("/").text
    refused = browser.post("/new", data={**csrf, "name": NAME, "team": TEAM})
    assert refused.status_code == 403
    assert NAME not in cluster.kubectl("get", "aiws", "-n", TEAM, "-o", "name")
