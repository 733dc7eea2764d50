"""Changes through the API: none is lost or made twice, and refusals are explained."""

import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any, Final

import httpx2
import pytest

from tests.integration.api.served import (
    API,
    TEAMS,
    Person,
    Served,
    clear_workspaces,
    grant,
    person,
    serving,
)
from tests.integration.conftest import SYSTEM, Cluster
from tests.waiting import eventually

ONE, TWO = TEAMS
PATH: Final = "/api/v1/workspaces"
MEDIA_TYPE: Final = "application/problem+json"


_JSON: Final = {"Content-Type": "application/json"}
_JSON_PATCH: Final = {"Content-Type": "application/json-patch+json"}


def body(name: str, team: str = ONE, **spec: Any) -> dict[str, Any]:
    return {"team": team, "spec": {"workspaceName": name, **spec}}


def create(calls: httpx2.Client, name: str, team: str = ONE, **spec: Any) -> httpx2.Response:
    answer = calls.post(PATH, json=body(name, team, **spec))
    assert answer.status_code == 201, answer.text
    return answer


def at_once(*asks: Callable[[], httpx2.Response]) -> list[httpx2.Response]:
    """All of them begin at the same moment."""
    barrier = Barrier(len(asks))

    def ask(call: Callable[[], httpx2.Response]) -> httpx2.Response:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(ask, asks))


def stored(cluster: Cluster) -> dict[str, Any]:
    listed = cluster.get("aiws", "-A")["items"]
    return {
        f"{resource['metadata']['namespace']}/{resource['metadata']['name']}": resource
        for resource in listed
    }


def say_progress(cluster: Cluster, name: str, models_ready: str, team: str = ONE) -> None:
    """As the operator does while models are pulled."""
    status = {"status": {"modelsReady": models_ready, "phase": "PullingModels"}}
    cluster.kube.patch("aiws", name, team, status, "status")


def test_a_new_workspace_has_an_address_and_its_maker_and_is_seen_at_once(
    calls: httpx2.Client, other_api: Served, boss: Person
) -> None:
    answer = create(calls, "new-one", models=["gemma2:2b"])
    assert calls.get(answer.headers["Location"]).json() == answer.json()
    assert answer.json()["requestedBy"] == boss.username
    with other_api.client(boss.token) as elsewhere:
        eventually(lambda: elsewhere.get(f"{PATH}/new-one").is_success, "the other replica sees it")


def test_a_change_made_from_an_old_state_is_refused_and_changes_nothing(
    calls: httpx2.Client, cluster: Cluster
) -> None:
    old = {"If-Match": create(calls, "lost-update").headers["ETag"]}
    assert calls.patch(f"{PATH}/lost-update", json={"spec": {"suspended": True}}).is_success
    before = stored(cluster)
    replacement = {"spec": {"workspaceName": "lost-update"}}
    for refused in (
        calls.put(f"{PATH}/lost-update", json=replacement, headers=old),
        calls.patch(f"{PATH}/lost-update", json={"spec": {"suspended": None}}, headers=old),
        calls.post(f"{PATH}/lost-update:resume", headers=old),
        calls.delete(f"{PATH}/lost-update", headers=old),
    ):
        assert refused.status_code == 412, refused.text
        assert refused.json()["code"] == "precondition-failed"
    assert stored(cluster) == before


def test_progress_is_no_change_that_could_be_lost(calls: httpx2.Client, cluster: Cluster) -> None:
    read = {"If-Match": create(calls, "progress").headers["ETag"]}
    say_progress(cluster, "progress", "1/2")
    changed = calls.patch(f"{PATH}/progress", json={"spec": {"suspended": True}}, headers=read)
    assert changed.status_code == 202
    say_progress(cluster, "progress", "2/2")
    newer = {"If-Match": changed.headers["ETag"]}
    assert calls.delete(f"{PATH}/progress", headers=newer).status_code == 202
    assert calls.get(f"{PATH}/progress").status_code == 404


def test_a_replacement_says_what_it_replaces(calls: httpx2.Client) -> None:
    tag = create(calls, "replaced", models=["gemma2:2b"]).headers["ETag"]
    spec = {"spec": {"workspaceName": "replaced"}}
    assert calls.put(f"{PATH}/replaced", json=spec).status_code == 428
    answer = calls.put(f"{PATH}/replaced", json=spec, headers={"If-Match": tag})
    assert answer.status_code == 202
    assert answer.json()["spec"]["models"] == []
    again = calls.put(f"{PATH}/replaced", json=spec, headers={"If-Match": "*"})
    assert again.status_code == 200


def test_patches_at_the_same_time_through_two_replicas_all_apply(
    calls: httpx2.Client, other_api: Served, boss: Person
) -> None:
    create(calls, "patched")
    changes: list[dict[str, Any]] = [
        {"models": ["gemma2:2b"]},
        {"patterns": ["explain_code"]},
        {"quota": {"cpu": "8"}},
        {"ollama": {"keepAlive": "5m"}},
    ]
    with other_api.client(boss.token) as elsewhere:
        answers = at_once(
            *(
                partial(
                    (elsewhere, calls)[index % 2].patch, f"{PATH}/patched", json={"spec": change}
                )
                for index, change in enumerate(changes)
            )
        )
    assert [answer.status_code for answer in answers] == [202] * len(changes)
    eventually(
        lambda: all(
            calls.get(f"{PATH}/patched").json()["spec"][field] == value
            for change in changes
            for field, value in change.items()
        ),
        "every patch is there",
    )


def test_a_create_that_is_repeated_makes_one_workspace(
    calls: httpx2.Client, other_api: Served, boss: Person, cluster: Cluster
) -> None:
    document = body("repeated", models=["gemma2:2b"])
    with other_api.client(boss.token) as elsewhere:
        answers = at_once(
            *(
                partial((elsewhere, calls)[index % 2].post, PATH, json=document)
                for index in range(10)
            )
        )
        later = elsewhere.post(PATH, json=document)
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert {answer.json()["uid"] for answer in [*answers, later]} == {later.json()["uid"]}
    assert [key for key in stored(cluster) if key.endswith("/repeated")] == [f"{ONE}/repeated"]
    assert calls.post(PATH, json=body("repeated", models=["llama3.2"])).status_code == 409


def test_of_two_teams_that_want_one_name_at_the_same_time_one_gets_it(
    calls: httpx2.Client, other_api: Served, boss: Person, cluster: Cluster
) -> None:
    with other_api.client(boss.token) as elsewhere:
        for index in range(5):
            name = f"wanted-{index}"
            answers = at_once(
                partial(calls.post, PATH, json=body(name, ONE)),
                partial(elsewhere.post, PATH, json=body(name, TWO)),
            )
            assert sorted(answer.status_code for answer in answers) == [201, 409]
            refused = next(answer for answer in answers if answer.status_code == 409).json()
            assert refused["code"] == "name-taken"
            assert refused["errors"][0]["field"] == "spec.workspaceName"
            winner = next(answer for answer in answers if answer.status_code == 201).json()["team"]
            remaining = [key for key in stored(cluster) if key.endswith(f"/{name}")]
            assert remaining == [f"{winner}/{name}"]


def test_what_a_reader_has_already_is_not_sent_again(
    calls: httpx2.Client, cluster: Cluster
) -> None:
    create(calls, "unchanged")
    for path in (f"{PATH}/unchanged", f"{PATH}?team={ONE}", f"{PATH}?fields=name,status.phase"):
        tag = calls.get(path).headers["ETag"]
        weak = f"W/{tag.removeprefix('W/')}"  # a proxy that compresses makes each tag weak
        again = calls.get(path, headers={"If-None-Match": f'"other", {weak}'})
        assert (again.status_code, again.content) == (304, b"")
    say_progress(cluster, "unchanged", "1/3")
    eventually(
        lambda: calls.get(f"{PATH}/unchanged", headers={"If-None-Match": tag}).status_code == 200,
        "progress is news",
    )


def test_a_dry_run_changes_nothing_and_gives_no_etag(
    calls: httpx2.Client, cluster: Cluster
) -> None:
    create(calls, "rehearsed")
    before = stored(cluster)
    path = f"{PATH}/rehearsed?dryRun=true"
    spec = {"spec": {"workspaceName": "rehearsed", "suspended": True}}
    for answer, status in (
        (calls.post(f"{PATH}?dryRun=true", json=body("never-made")), 200),
        (calls.put(path, json=spec, headers={"If-Match": "*"}), 202),
        (calls.patch(path, json={"spec": {"suspended": True}}), 202),
        (calls.post(f"{PATH}/rehearsed:suspend?dryRun=true"), 202),
        (calls.post(f"{PATH}/rehearsed:resume?dryRun=true"), 202),
        (calls.post(f"{PATH}/rehearsed:restart?dryRun=true&workload=ollama"), 202),
        (calls.delete(path), 202),
    ):
        assert answer.status_code == status, answer.text
        assert "ETag" not in answer.headers
        assert "Location" not in answer.headers
    refused = calls.post(f"{PATH}?dryRun=true", json=body("kube-nothing"))
    assert refused.status_code == 422
    assert stored(cluster) == before


def test_a_team_is_suspended_by_one_request_and_not_by_a_dry_run(
    calls: httpx2.Client, cluster: Cluster
) -> None:
    create(calls, "of-two", TWO)
    create(calls, "of-one", ONE)
    path = f"/api/v1/teams/{TWO}"
    rehearsed = calls.post(f"{path}:suspend?dryRun=true").json()
    assert {"name": "of-two", "status": 202, "code": None, "detail": None} in rehearsed["items"]
    assert not is_suspended(cluster, TWO, "of-two")
    for action, state in (("suspend", True), ("resume", False)):
        for status in (202, 200):
            answer = calls.post(f"{path}:{action}").json()
            assert answer["remaining"] == 0
            of_two = next(item for item in answer["items"] if item["name"] == "of-two")
            assert of_two["status"] == status
        assert is_suspended(cluster, TWO, "of-two") is state
        assert not is_suspended(cluster, ONE, "of-one")


def is_suspended(cluster: Cluster, team: str, name: str) -> bool:
    return bool(stored(cluster)[f"{team}/{name}"]["spec"].get("suspended"))


def test_pages_hold_every_workspace_once(calls: httpx2.Client) -> None:
    for index in range(5):
        create(calls, f"page-{index}", TWO)
    whole = [item["name"] for item in calls.get(PATH, params={"team": TWO}).json()["items"]]
    paged: list[str] = []
    page = None
    while True:
        query = {"team": TWO, "limit": "2", **({"page": page} if page else {})}
        answer = calls.get(PATH, params=query).json()
        paged += [item["name"] for item in answer["items"]]
        if (page := answer["nextPage"]) is None:
            break
    assert paged == whole == sorted(whole)


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"workspaceName": "kube-system"}, "spec.workspaceName", "choose a name that is not"),
        ({"workspaceName": "Bad"}, "spec.workspaceName", "write lower-case letters"),
        ({"workspaceName": "bad", "modles": []}, "spec.modles", "no such field"),
        ({"workspaceName": "bad", "models": ["a b"]}, "spec.models[0]", "pattern"),
        ({"workspaceName": "bad", "models": ["a", "a"]}, "spec.models[1]", "Duplicate"),
        ({"workspaceName": "bad", "suspended": "yes"}, "spec.suspended", "boolean"),
        (
            {"workspaceName": "bad", "ingress": {"tls": {}}},
            "spec.ingress.tls",
            "name either secretName or issuer",
        ),
        (
            {"workspaceName": "bad", "scheduling": {"tolerations": [{"tolerationSeconds": 1e30}]}},
            "spec.scheduling.tolerations[0].tolerationSeconds",
            "",
        ),
    ],
)
def test_a_bad_spec_is_refused_with_the_fields_path(
    calls: httpx2.Client, spec: dict[str, Any], field: str, message: str
) -> None:
    answer = calls.post(PATH, json={"team": ONE, "spec": spec})
    assert answer.status_code == 422
    messages = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert message in messages[field], messages


def test_a_changed_workspace_name_is_refused_as_immutable(calls: httpx2.Client) -> None:
    create(calls, "immutable")
    answer = calls.patch(f"{PATH}/immutable", json={"spec": {"workspaceName": "other"}})
    assert answer.status_code == 422
    assert "workspaceName is immutable" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", f"{PATH}?limt=1", {}, 422),
        ("GET", "/api/v1/me?x=1", {}, 422),
        ("POST", f"{PATH}?dryrun=true", {"json": {}}, 422),
        ("POST", PATH, {"json": {"sepc": {}}}, 422),
        ("POST", PATH, {"content": b"{", "headers": {"Content-Type": "application/json"}}, 422),
        ("POST", PATH, {"content": b"\xff", "headers": {"Content-Type": "application/json"}}, 422),
        ("POST", PATH, {"content": b"[" * 99_999, "headers": _JSON}, 422),
        ("POST", PATH, {"content": b"{}", "headers": {"Content-Type": "a/a+json"}}, 415),
        ("POST", PATH, {"content": b"{}"}, 415),
        ("PATCH", f"{PATH}/x", {"content": b"[]", "headers": _JSON_PATCH}, 415),
        ("POST", PATH, {"content": b"a" * 300_000}, 413),
        ("POST", PATH, {"content": [b"a" * 9_000] * 40, "headers": _JSON}, 413),
        ("GET", f"{PATH}:watch", {"content": [b"a" * 9_000] * 40}, 413),
        ("GET", "/api/v2", {}, 404),
        ("GET", f"{PATH}/nothing", {}, 404),
        ("GET", f"{PATH}/No_Name", {}, 422),
        ("GET", f"{PATH}?page=made-up", {}, 422),
        ("POST", f"{PATH}/nothing", {}, 405),
        ("PUT", f"{PATH}/nothing:suspend", {}, 405),
    ],
)
def test_every_refusal_is_a_problem_document(
    calls: httpx2.Client, method: str, path: str, sent: dict[str, Any], status: int
) -> None:
    answer = calls.request(method, path, **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    document = answer.json()
    assert document["status"] == status
    assert document["detail"]
    assert document["instance"] == path.partition("?")[0]
    assert document["type"].endswith(document["code"])
    if status == 405:
        assert answer.headers["Allow"]


def _stalled(api: Served, token: str) -> socket.socket:
    """Send the beginning of the largest body."""
    opened = socket.create_connection(("127.0.0.1", api.port))
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
        f"Content-Length: {256 * 1024}\r\n"
        + (f"Authorization: Bearer {token}\r\n" if token else "")
        + "\r\n"
    )
    with suppress(ConnectionError):  # one that is refused is not read to its end
        opened.sendall(head.encode() + b'"' * 250_000)
    return opened


def test_bodies_that_never_end_cost_little_and_delay_no_other_caller(
    api: Served, calls: httpx2.Client, cluster: Cluster
) -> None:
    """A sender has its own share of the room, and a body 10 s; a stranger's is not read at all."""
    sender = person(cluster, "endless")
    before = api.resident_bytes()
    began = time.monotonic()
    sockets = [_stalled(api, token) for token in ("", "no-token", sender.token) for _ in range(100)]
    try:
        assert api.is_ready()
        assert calls.get(PATH).is_success
        assert calls.post(f"{PATH}?dryRun=true", json=body("meanwhile")).status_code == 200
        grown = api.resident_bytes() - before
        statuses = []
        for connection in sockets:
            connection.settimeout(20)
            statuses.append(_status(connection))
    finally:
        for connection in sockets:
            connection.close()
    of_strangers, of_sender = Counter(statuses[:200]), Counter(statuses[200:])
    assert of_strangers.keys() <= {401, 0}, of_strangers
    assert of_strangers[401], of_strangers
    assert of_sender.keys() <= {408, 429, 0}, of_sender
    assert of_sender[408], of_sender
    assert of_sender[429], of_sender
    assert 9 < time.monotonic() - began < 20
    assert grown < 48 * 1024 * 1024, f"{grown / 2**20:.1f} MiB"
    assert calls.post(f"{PATH}?dryRun=true", json=body("afterwards")).status_code == 200


def _status(opened: socket.socket) -> int:
    """0 for a connection that was reset because its body was not read."""
    try:
        head = opened.recv(64).split()
    except ConnectionError:
        return 0
    return int(head[1]) if head else 0


def test_a_missing_permission_of_the_api_is_reported_as_its_own(
    calls: httpx2.Client, cluster: Cluster
) -> None:
    """And not as if the caller lacked it."""
    create(calls, "no-secrets")
    binding = cluster.get("rolebinding", API, "-n", SYSTEM)
    cluster.kubectl("delete", "rolebinding", API, "-n", SYSTEM)
    path = f"{PATH}/no-secrets/credentials"
    try:
        eventually(lambda: calls.get(path).status_code == 500, "it may read no secret")
        answer = calls.get(path)
        assert answer.headers["Content-Type"] == MEDIA_TYPE
        assert answer.json()["code"] == "misconfigured"
    finally:
        del binding["metadata"]["resourceVersion"], binding["metadata"]["uid"]
        cluster.apply(binding)
    eventually(lambda: calls.get(path).status_code == 409, "it may read them again")


def test_a_full_team_quota_is_reported_with_its_message(
    calls: httpx2.Client, cluster: Cluster
) -> None:
    counted = "count/aichatworkspaces.apps.aichatworkspaces.io"
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "few", "namespace": TWO},
            "spec": {"hard": {counted: "0"}},
        }
    )
    try:
        document = body("one-too-many", TWO)
        path = f"{PATH}?dryRun=true"
        eventually(
            lambda: "exceeded" in calls.post(path, json=document).json().get("detail", ""),
            "the quota holds",
            seconds=90,  # its controller looks for new kinds every 30 seconds
        )
        answer = calls.post(PATH, json=document)
        assert answer.status_code == 403
        assert "exceeded quota: few" in answer.json()["detail"]
    finally:
        cluster.kubectl("delete", "resourcequota", "few", "-n", TWO)


@pytest.fixture(scope="module")
def strict_api(api_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    few = {"API_REQUESTS_PER_SECOND": "1", "API_BURST": "6", "API_STREAMS_PER_CALLER": "2"}
    with serving(api_kubeconfig, tmp_path_factory.mktemp("api"), **few) as served:
        yield served


def test_a_rate_limited_caller_gets_retry_after_and_others_are_not_limited(
    strict_api: Served, cluster: Cluster, boss: Person
) -> None:
    hasty = person(cluster, "hasty")
    with strict_api.client(hasty.token) as client:
        answers = at_once(*[lambda: client.get("/api/v1/me")] * 12)
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 4
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert refused[0].headers["Content-Type"] == MEDIA_TYPE
    with strict_api.client(boss.token) as other:
        assert other.get("/api/v1/me").is_success


def test_streams_are_limited_per_caller(strict_api: Served, cluster: Cluster) -> None:
    watcher = person(cluster, "watcher", [grant("watcher", "cluster-admin")])
    with (
        strict_api.client(watcher.token) as client,
        client.stream("GET", f"{PATH}:watch") as first,
    ):
        with client.stream("GET", f"{PATH}:watch") as second:
            assert (first.status_code, second.status_code) == (200, 200)
            third = client.get(f"{PATH}:watch")
            assert third.status_code == 429
            assert "Retry-After" in third.headers
            assert third.headers["Content-Type"] == MEDIA_TYPE
        eventually(lambda: _opens(client), "an ended stream makes room")


def _opens(client: httpx2.Client) -> bool:
    with client.stream("GET", f"{PATH}:watch") as stream:
        return stream.status_code == 200


@pytest.fixture(scope="module")
def nothing_else(cluster: Cluster, api: Served) -> None:
    """What an operator has once seen, only an operator lets go."""
    assert api.is_ready()
    clear_workspaces(cluster)


@pytest.mark.usefixtures("nothing_else")
def test_credentials_are_shown_and_recorded_and_never_logged(
    calls: httpx2.Client, api: Served, operator: Path
) -> None:
    create(calls, "with-credentials", SYSTEM)
    path = f"{PATH}/with-credentials/credentials"
    eventually(lambda: calls.get(path).is_success, f"there are some, see {operator}", seconds=60)
    shown = calls.get(path)
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.json()["password"] not in api.log.read_text()
    lines = [json.loads(line) for line in api.log.read_text().splitlines()]
    shows = [line for line in lines if line.get("action") == "read_credentials"]
    assert shows[-1].items() >= {"outcome": 200, "workspace": "with-credentials"}.items()
    assert calls.delete(f"{PATH}/with-credentials").status_code == 202
    eventually(
        lambda: calls.get(f"{PATH}/with-credentials").status_code == 404,
        "the operator lets it go",
        seconds=60,
    )


class TestHistory:
    def entries(self, calls: httpx2.Client, name: str) -> list[tuple[str | None, str]]:
        items = calls.get(f"{PATH}/{name}/history").raise_for_status().json()["items"]
        return [(item["user"] or item["manager"], item["action"]) for item in items]

    def test_changes_by_the_api_and_by_kubectl_are_told_the_newest_first(
        self, calls: httpx2.Client, cluster: Cluster, boss: Person
    ) -> None:
        create(calls, "history", models=["gemma2:2b"])
        added = calls.post(f"{PATH}/history/models", json={"name": "llama3.2:1b"})
        assert added.status_code == 202
        newest = calls.get(f"{PATH}/history/history").json()["items"][0]
        assert newest["user"] == boss.username
        assert newest["added"] == ["llama3.2:1b"]
        assert newest["requestId"] == added.headers["X-Request-ID"]
        cluster.kube.patch("aiws", "history", ONE, {"spec": {"suspended": True}})
        entries = self.entries(calls, "history")
        assert (boss.username, "edit") in entries
        (other,) = {author for author, _ in entries} - {boss.username}
        assert other, "the field manager of the patch"
        assert (boss.username, "create") in entries
        assert (other, "edit") in entries

    def test_what_changes_nothing_is_no_entry(self, calls: httpx2.Client, cluster: Cluster) -> None:
        created = create(calls, "no-history", models=["gemma2:2b"])
        before = stored(cluster)[f"{ONE}/no-history"]
        replacement = {"spec": {**created.json()["spec"]}}
        headers = {"If-Match": created.headers["ETag"]}
        defaults = {"models": ["gemma2:2b"], "suspended": False, "patterns": []}
        for answer in (
            calls.patch(f"{PATH}/no-history", json={"spec": {"models": ["gemma2:2b"]}}),
            calls.put(f"{PATH}/no-history", json=replacement, headers=headers),
            calls.patch(f"{PATH}/no-history?dryRun=true", json={"spec": defaults}),
            calls.post(f"{PATH}/no-history:suspend?dryRun=true"),
        ):
            assert answer.is_success, answer.text
        after = stored(cluster)[f"{ONE}/no-history"]
        assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
        assert after["metadata"]["generation"] == 1

    def test_a_change_does_not_replace_annotations_that_have_come_meanwhile(
        self, calls: httpx2.Client, cluster: Cluster, boss: Person
    ) -> None:
        """The API's cache may be behind; a resource made by kubectl has no annotations."""
        manifest = {
            "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
            "kind": "AIChatWorkspace",
            "metadata": {"name": "by-hand", "namespace": ONE},
            "spec": {"workspaceName": "by-hand"},
        }
        cluster.kube.apply(manifest)
        eventually(lambda: calls.get(f"{PATH}/by-hand").is_success, "the API sees it")
        for number in range(5):
            marks = {"metadata": {"annotations": {"example.org/mark": f"mark-{number}"}}}
            cluster.kube.patch("aiws", "by-hand", ONE, marks)
            change = {"spec": {"displayName": f"Number {number}"}}
            assert calls.patch(f"{PATH}/by-hand", json=change).status_code == 202
            annotations = stored(cluster)[f"{ONE}/by-hand"]["metadata"]["annotations"]
            assert annotations["example.org/mark"] == f"mark-{number}"
            gone = {"metadata": {"annotations": None}}
            cluster.kube.patch("aiws", "by-hand", ONE, gone)
            change = {"spec": {"displayName": f"Number {number} again"}}
            assert calls.patch(f"{PATH}/by-hand", json=change).status_code == 202
        assert (boss.username, "edit") in self.entries(calls, "by-hand")

    def test_many_changes_leave_a_bounded_record(
        self, calls: httpx2.Client, cluster: Cluster
    ) -> None:
        create(calls, "often")
        for number in range(25):
            change = {"spec": {"labels": {"x" * 63: f"value-{number}"}}}
            assert calls.patch(f"{PATH}/often", json=change).status_code == 202
        metadata = stored(cluster)[f"{ONE}/often"]["metadata"]
        text = metadata["annotations"]["apps.aichatworkspaces.io/history"]
        assert len(json.loads(text)) == 20
        assert len(text) < 8 * 1024
