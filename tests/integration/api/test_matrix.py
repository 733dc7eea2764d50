"""The API grants a caller exactly what the API server grants them."""

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httpx2
import pytest
import yaml

from tests.integration.api.served import (
    GROUP,
    TEAMS,
    Person,
    Served,
    grant,
    person,
    role,
    token,
)
from tests.integration.api.test_watch import begun
from tests.integration.conftest import SYSTEM, Cluster
from tests.waiting import eventually

ONE, TWO = TEAMS
WORKSPACES: Final = {"matrix-system": SYSTEM, "matrix-one": ONE, "matrix-two": TWO}
NO_SUCH: Final = "matrix-none"


@dataclass(frozen=True)
class Deed:
    """A request to the API, its verb in Kubernetes, and the statuses for a permitted caller."""

    what: str
    verb: str
    method: str
    path: str
    good: tuple[int, ...]
    subresource: str = ""
    body: Any = None


_SPEC: Final = {"suspended": True}
_PATTERN: Final = {"name": "explain_code"}
_CONNECTION: Final = {"name": "c", "url": "https://a.example.org/v1", "secretName": "s"}
_PERSON: Final = {"email": "bo@example.org"}
_CHAT: Final = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
_BACKUP: Final = "20261201T023000Z-0f3b9c2d"
_TEXT: Final = {"model": "m", "input": "x"}
OF_ONE: Final = (
    Deed("read", "get", "GET", "", (200,)),
    Deed("events", "get", "GET", "/events", (200,)),
    Deed("diagnosis", "get", "GET", "/diagnosis", (200,)),
    Deed("history", "get", "GET", "/history", (200,)),
    Deed("usage", "get", "GET", "/usage", (200,)),
    Deed("models", "get", "GET", "/models", (409,)),
    Deed("replace", "update", "PUT", "?dryRun=true", (200, 202), body={"spec": _SPEC}),
    Deed("patch", "patch", "PATCH", "", (200,), body={"spec": _SPEC}),
    Deed("add a model", "patch", "POST", "/models?dryRun=true", (202,), body={"name": "m:1"}),
    Deed("remove a model", "patch", "DELETE", "/models/none?dryRun=true", (404,)),
    Deed("add a pattern", "patch", "POST", "/patterns?dryRun=true", (202,), body=_PATTERN),
    Deed("remove a pattern", "patch", "DELETE", "/patterns/none?dryRun=true", (404,)),
    Deed("add a connection", "patch", "POST", "/connections?dryRun=true", (202,), body=_CONNECTION),
    Deed("remove a connection", "patch", "DELETE", "/connections/none?dryRun=true", (404,)),
    Deed("read a model", "get", "GET", "/models/none", (404,)),
    Deed("reset the password", "patch", "POST", ":resetPassword?dryRun=true", (202,)),
    Deed("restart", "patch", "POST", ":restart?dryRun=true", (409,)),
    Deed("list backups", "get", "GET", "/backups", (200,)),
    Deed("back up", "patch", "POST", ":backup?dryRun=true", (409,)),
    Deed("restore", "patch", "POST", ":restore?dryRun=true", (422,), body={"backup": _BACKUP}),
    Deed("suspend", "patch", "POST", ":suspend", (200,)),
    Deed("resume", "patch", "POST", ":resume", (202,)),
    Deed("suspend what was resumed", "patch", "POST", ":suspend", (202,)),
    Deed("delete", "delete", "DELETE", "?dryRun=true", (202,)),
    Deed("log", "get", "GET", "/logs/ollama", (409,), "log"),
    Deed("credentials", "get", "GET", "/credentials", (409,), "credentials"),
    Deed("invite to the chat", "get", "POST", ":inviteToChat", (409,), "credentials", _PERSON),
    Deed("prompt", "create", "POST", ":prompt", (409,), "prompt", {"prompt": "x", "model": "m"}),
    Deed("list openai's models", "create", "GET", "/v1/models", (409,), "prompt"),
    Deed("chat", "create", "POST", "/v1/chat/completions", (409,), "prompt", _CHAT),
    Deed("embed", "create", "POST", "/v1/embeddings", (409,), "prompt", _TEXT),
)
OF_TEAM: Final = (
    Deed("create", "create", "POST", "", (200,)),
    Deed("list", "list", "GET", "?team={team}", (200,)),
    Deed("watch", "watch", "GET", ":watch?team={team}", (200,)),
)
# How `/me` says it, the verb, and the part of a workspace that it is for.
_RIGHTS: Final = (
    *((verb, verb, "") for verb in ("create", "get", "list", "watch", "update", "patch", "delete")),
    ("get aichatworkspaces/log", "get", "log"),
    ("create aichatworkspaces/prompt", "create", "prompt"),
    ("get aichatworkspaces/credentials", "get", "credentials"),
)


@dataclass(frozen=True)
class Judge:
    """The API server's answers to a person's own token about their permissions."""

    client: httpx2.Client

    def allows(self, verb: str, team: str, name: str = "", subresource: str = "") -> bool:
        attributes = {"group": GROUP, "resource": "aichatworkspaces", "verb": verb}
        more = {"namespace": team, "name": name, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes | {k: v for k, v in more.items() if v}},
        }
        answer = self.client.post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=review
        )
        return bool(answer.raise_for_status().json()["status"]["allowed"])


def _people() -> dict[str, list[dict[str, Any]]]:
    """Each person and their grants."""
    named = role(
        "only-matrix-one",
        {"resources": ["aichatworkspaces"], "resourceNames": ["matrix-one"], "verbs": ["get"]},
    )
    deleting = role("only-delete", {"resources": ["aichatworkspaces"], "verbs": ["delete"]})
    parts = role(
        "only-parts",
        {"resources": ["aichatworkspaces/log", "aichatworkspaces/credentials"], "verbs": ["get"]},
        {"resources": ["aichatworkspaces/prompt"], "verbs": ["create"]},
    )
    return {
        "everywhere-admin": [grant("everywhere-admin", "cluster-admin")],
        "one-admin": [grant("one-admin", "admin", ONE)],
        "one-edit": [grant("one-edit", "edit", ONE)],
        "one-view": [grant("one-view", "view", ONE)],
        "two-admin": [grant("two-admin", "admin", TWO)],
        "named": [named, grant("named", "only-matrix-one", ONE)],
        "deleter": [deleting, grant("deleter", "only-delete", ONE)],
        "helper": [parts, grant("helper", "only-parts", ONE)],
        "nobody": [],
    }


@pytest.fixture(scope="module")
def people(cluster: Cluster, api_kubeconfig: object) -> dict[str, Person]:
    assert api_kubeconfig
    with ThreadPoolExecutor(4) as pool:
        persons = pool.map(lambda arguments: person(cluster, *arguments), _people().items())
        return {somebody.name: somebody for somebody in persons}


@pytest.fixture(scope="module")
def judges(cluster: Cluster, people: dict[str, Person]) -> Iterator[dict[str, Judge]]:
    known = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    trust = ssl.create_default_context(cafile=known["certificate-authority"])
    by_name = {}
    for name in people:
        headers = {"Authorization": f"Bearer {token(cluster, name)}"}
        client = httpx2.Client(base_url=known["server"], headers=headers, verify=trust, timeout=30)
        by_name[name] = Judge(client)
    yield by_name
    for judge in by_name.values():
        judge.client.close()


@pytest.fixture(scope="module")
def workspaces(api: Served, boss: Person, judges: dict[str, Judge]) -> None:
    with api.client(boss.token) as client:
        for name, team in WORKSPACES.items():
            body = {"team": team, "spec": {"workspaceName": name, "suspended": True}}
            assert client.post("/api/v1/workspaces", json=body).status_code == 201
    for who, team in (("one-view", ONE), ("one-edit", ONE), ("one-admin", ONE), ("two-admin", TWO)):
        eventually(partial(judges[who].allows, "get", team), "roles are aggregated")


def _ask(client: httpx2.Client, deed: Deed, path: str, body: Any) -> tuple[int, bytes]:
    """The status, and the body of an answer that says no; a watch that goes on is left."""
    headers = {"If-Match": "*"} if deed.method == "PUT" else {}
    with client.stream(deed.method, path, json=body, headers=headers) as answer:
        if answer.status_code < 400:
            return answer.status_code, b""
        text = answer.read().replace(answer.headers["X-Request-ID"].encode(), b"ID")
        return answer.status_code, text


def _of_one(client: httpx2.Client, deed: Deed, name: str) -> tuple[int, bytes]:
    body = deed.body
    if deed.method == "PUT":
        body = {"spec": {**_SPEC, "workspaceName": name}}
    return _ask(client, deed, f"/api/v1/workspaces/{name}{deed.path}", body)


_EVERYBODY: Final = tuple(_people())


@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("who", _EVERYBODY)
def test_a_workspace_is_open_to_permitted_callers_and_hidden_from_others(
    api: Served, people: dict[str, Person], judges: dict[str, Judge], who: str
) -> None:
    judge = judges[who]
    with api.client(people[who].token) as client:
        for deed in OF_ONE:
            unknown = _of_one(client, deed, NO_SUCH)
            assert unknown[0] == 404
            for name, team in WORKSPACES.items():
                answer = _of_one(client, deed, name)
                if judge.allows(deed.verb, team, name, deed.subresource):
                    assert answer[0] in deed.good, (deed, name, answer)
                elif judge.allows("get", team, name):
                    assert answer[0] == 403, (deed, name, answer)
                else:
                    as_unknown = unknown[1].replace(NO_SUCH.encode(), name.encode())
                    assert answer == (404, as_unknown), (deed, name)


@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("who", _EVERYBODY)
def test_a_team_is_open_to_permitted_callers(
    api: Served, people: dict[str, Person], judges: dict[str, Judge], who: str
) -> None:
    with api.client(people[who].token) as client:
        for deed in OF_TEAM:
            for team in WORKSPACES.values():
                body = {"team": team, "spec": {"workspaceName": "matrix-new"}}
                path = f"/api/v1/workspaces{deed.path.format(team=team)}"
                if deed.what == "create":
                    path += "?dryRun=true"
                status, _ = _ask(client, deed, path, body if deed.what == "create" else None)
                expected = deed.good if judges[who].allows(deed.verb, team) else (403,)
                assert status in expected, (deed, team)


@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("who", _EVERYBODY)
def test_a_list_has_exactly_the_workspaces_that_its_caller_may_list(
    api: Served, people: dict[str, Person], judges: dict[str, Judge], who: str
) -> None:
    with api.client(people[who].token) as client:
        shown = {item["name"] for item in client.get("/api/v1/workspaces").json()["items"]}
    may = {name for name, team in WORKSPACES.items() if judges[who].allows("list", team)}
    assert shown & set(WORKSPACES) == may


@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("who", _EVERYBODY)
def test_the_platform_is_open_to_callers_who_may_list_a_teams_workspaces(
    api: Served, people: dict[str, Person], judges: dict[str, Judge], who: str
) -> None:
    is_open = any(judges[who].allows("list", team) for team in WORKSPACES.values())
    with api.client(people[who].token) as client:
        for path in ("models", "catalogue", "patterns", "platform", "options"):
            assert client.get(f"/api/v1/{path}").status_code == (200 if is_open else 403)


@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("who", _EVERYBODY)
def test_usage_is_summed_for_callers_who_may_list_all_of_it(
    api: Served, people: dict[str, Person], judges: dict[str, Judge], who: str
) -> None:
    judge = judges[who]
    with api.client(people[who].token) as client:
        for team in WORKSPACES.values():
            answer = client.get(f"/api/v1/teams/{team}/usage")
            assert answer.status_code == (200 if judge.allows("list", team) else 403)
            assert answer.json().get("workspaces", 1) >= 1
            options = client.get(f"/api/v1/options?team={team}").status_code
            assert options == answer.status_code
        unknown = client.get("/api/v1/teams/no-such-team/usage").status_code
        assert unknown == (404 if judge.allows("list", "no-such-team") else 403)
        platform = client.get("/api/v1/platform/usage")
        assert platform.status_code == (200 if judge.allows("list", "") else 403)
        if platform.is_success:
            teams = {entry["team"] for entry in platform.json()["teams"]}
            assert {*TEAMS, SYSTEM} <= teams


@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("who", _EVERYBODY)
def test_a_watch_has_exactly_the_workspaces_that_its_caller_may_watch(
    api: Served, people: dict[str, Person], judges: dict[str, Judge], who: str
) -> None:
    may = {name for name, team in WORKSPACES.items() if judges[who].allows("watch", team)}
    if not may:
        with api.client(people[who].token) as client:
            assert client.get("/api/v1/workspaces:watch").status_code == 403
        return
    events = [event for event in begun(api, people[who].token) if event.kind == "ADDED"]
    assert {event.data["name"] for event in events} & set(WORKSPACES) == may
    assert {event.data["team"] for event in events} <= {WORKSPACES[name] for name in may}


@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("who", _EVERYBODY)
def test_me_lists_the_permissions_that_the_api_server_grants(
    api: Served, people: dict[str, Person], judges: dict[str, Judge], who: str
) -> None:
    with api.client(people[who].token) as client:
        document = client.get("/api/v1/me").json()
    assert document["username"] == people[who].username
    judge = judges[who]
    everywhere = {word for word, verb, part in _RIGHTS if judge.allows(verb, "", subresource=part)}
    assert set(document["everywhere"]) == everywhere
    teams = (*TEAMS, SYSTEM)
    assert document["teams"] == sorted(team for team in teams if judge.allows("list", team))


@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("who", _EVERYBODY)
def test_a_teams_rights_and_can_i_are_the_api_servers(
    api: Served, people: dict[str, Person], judges: dict[str, Judge], who: str
) -> None:
    judge = judges[who]
    with api.client(people[who].token) as client:
        for team in (*TEAMS, SYSTEM, "no-such-team"):
            may = {
                word for word, verb, part in _RIGHTS if judge.allows(verb, team, subresource=part)
            }
            rights = client.get(f"/api/v1/me/teams/{team}").json()
            assert (rights["team"], set(rights["verbs"])) == (team, may)
        for _, verb, part in _RIGHTS:
            for team in ("", TEAMS[0]):
                query = {"verb": verb, "subresource": part, "team": team}
                answer = client.get(
                    "/api/v1/me/can-i", params={key: text for key, text in query.items() if text}
                )
                assert answer.json() == {"allowed": judge.allows(verb, team, subresource=part)}


@pytest.mark.usefixtures("workspaces")
@pytest.mark.parametrize("who", _EVERYBODY)
def test_a_workspace_is_created_for_permitted_callers_and_names_them(
    api: Served, cluster: Cluster, people: dict[str, Person], judges: dict[str, Judge], who: str
) -> None:
    with api.client(people[who].token) as client:
        for n, team in enumerate(WORKSPACES.values()):
            name = f"by-{who}-{n}"
            body = {"team": team, "spec": {"workspaceName": name, "suspended": True}}
            status = client.post("/api/v1/workspaces", json=body).status_code
            resources = cluster.get("aiws", "-n", team)["items"]
            metadata = [
                resource["metadata"]
                for resource in resources
                if resource["metadata"]["name"] == name
            ]
            if judges[who].allows("create", team):
                assert (status, len(metadata)) == (201, 1), team
                asked_by = metadata[0]["annotations"]["apps.aichatworkspaces.io/requested-by"]
                assert asked_by == people[who].username
                cluster.kubectl("delete", "aiws", name, "-n", team)
            else:
                assert (status, metadata) == (403, []), team


@pytest.mark.usefixtures("workspaces")
def test_requests_without_a_valid_token_are_401(api: Served, cluster: Cluster) -> None:
    wrong_audience = token(cluster, "everywhere-admin", audience="somebody-else")
    for bad in (None, "made-up", "é", wrong_audience, "x" * 20_000):
        headers = {b"Authorization": f"Bearer {bad}".encode()} if bad is not None else {}
        for name in ("matrix-one", NO_SUCH):
            answer = httpx2.get(f"{api.url}/api/v1/workspaces/{name}", headers=headers, timeout=30)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert name not in answer.json()["detail"]
