"""Faults of requests and watches between the API and the Kubernetes API server."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.faults.proxy import (
    Answer,
    Call,
    Cut,
    Fault,
    Proxy,
    Stream,
    Twice,
    proxy_to,
)
from tests.faults.test_lost_events import OldLists
from tests.integration.api.served import (
    TEAMS,
    Person,
    api_account,
    grant,
    make_teams,
    person,
    serving,
)
from tests.integration.conftest import Cluster
from tests.waiting import eventually, let_pass

PATH: Final = "/api/v1/workspaces"
TEAM: Final = TEAMS[0]


@pytest.fixture(scope="module")
def boss(cluster: Cluster) -> Person:
    make_teams(cluster)
    return person(cluster, "boss", [grant("boss", "cluster-admin")])


@pytest.fixture
def api_proxy(cluster: Cluster, boss: Person, tmp_path: Path) -> Iterator[tuple[Proxy, Path]]:
    """Between the API and the Kubernetes API server. No operator is at work, and no workspace is
    left."""
    assert boss.token
    with proxy_to(api_account(cluster, tmp_path)) as both:
        yield both
    cluster.kubectl("delete", "aiws", "--all", "-n", TEAM, "--timeout=30s")


@contextmanager
def calls(api_proxy: tuple[Proxy, Path], boss: Person, folder: Path) -> Iterator[httpx2.Client]:
    """An API that starts now. Its log must hold no traceback in the end."""
    with serving(api_proxy[1], folder) as api, api.client(boss.token) as client:
        yield client


def listed(client: httpx2.Client) -> dict[str, str]:
    """The names of all workspaces, and their teams."""
    answer = client.get(PATH)
    assert answer.status_code == 200, answer.text
    return {item["name"]: item["team"] for item in answer.json()["items"]}


def resources(cluster: Cluster) -> list[str]:
    return [item["metadata"]["name"] for item in cluster.get("aiws", "-n", TEAM)["items"]]


def make(cluster: Cluster, *names: str) -> None:
    for name in names:
        cluster.apply(
            {
                "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
                "kind": "AIChatWorkspace",
                "metadata": {"name": name, "namespace": TEAM},
                "spec": {"workspaceName": name},
            }
        )


def is_creation(call: Call) -> bool:
    return call.verb == "POST" and "/aichatworkspaces/" in call.object


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (Cut(done=False), (201, 503)),
        (Cut(done=True), (201, 503)),
        (Twice(), (201, 200)),
        (Answer(429, {"Retry-After": "1"}), (201, 503)),
        (Answer(500), (201, 502, 503)),
        (Answer(503), (201, 503)),
    ],
    ids=["lost", "unheard", "twice", "busy", "broken", "away"],
)
def test_a_creation_that_goes_wrong_is_told_and_can_be_repeated(
    cluster: Cluster,
    api_proxy: tuple[Proxy, Path],
    boss: Person,
    tmp_path: Path,
    fault: Fault,
    statuses: tuple[int, ...],
) -> None:
    """F2 and F7: the API's POST goes wrong once; the same request again is met, and there is one
    resource."""
    struck: list[Call] = []

    def rule(call: Call) -> Fault | None:
        if not is_creation(call) or struck:
            return None
        struck.append(call)
        return fault

    api_proxy[0].rule = rule
    body = {"team": TEAM, "spec": {"workspaceName": "asked-twice"}}
    with calls(api_proxy, boss, tmp_path) as client:
        first = client.post(PATH, json=body)
        assert first.status_code in statuses, first.text
        if not first.is_success:
            assert first.headers["Content-Type"] == "application/problem+json"
        second = client.post(PATH, json=body)
        assert second.status_code in (200, 201), second.text
        assert struck
        assert resources(cluster) == ["asked-twice"]
        eventually(lambda: listed(client) == {"asked-twice": TEAM}, "it is listed")


@pytest.mark.parametrize(
    "broken",
    [
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n',
        b'{"type":"ERROR","object":{"kind":"Status","code":500}}\n',
        b'{"type":"MODIFIED","object":{"kind":"AIC',
        None,
    ],
    ids=["gone", "broken", "torn", "swallowed"],
)
def test_a_list_is_right_after_its_watch_broke(
    cluster: Cluster,
    api_proxy: tuple[Proxy, Path],
    boss: Person,
    tmp_path: Path,
    broken: bytes | None,
) -> None:
    """F6 and F4: at each third event the watch of workspaces ends in this, and the event is lost
    with it."""
    seen: Counter[str] = Counter()

    def edit(event: dict[str, Any]) -> list[bytes] | None:
        seen["events"] += 1
        if seen["events"] % 3 == 0:
            return None if broken is None else [broken]
        if seen["events"] % 3 == 1 and seen["events"] > 1 and broken and broken[-1:] != b"\n":
            return None
        return [json.dumps(event).encode() + b"\n"]

    api_proxy[0].rule = _watching(edit)
    with calls(api_proxy, boss, tmp_path) as client:
        names = [f"listed-{letter}" for letter in "abcde"]
        make(cluster, *names)
        eventually(lambda: listed(client).keys() == {*names}, "all are listed", 60)
        for name in names[:3]:
            cluster.kube.delete("aiws", name, TEAM)
        # Half a line on an open connection is known as such by the next bookmark, a minute later.
        eventually(lambda: listed(client).keys() == {*names[3:]}, "two are listed", 150)
    assert seen["events"] >= 6


def _watching(
    edit: Callable[[dict[str, Any]], list[bytes] | None],
) -> Callable[[Call], Fault | None]:
    def rule(call: Call) -> Fault | None:
        is_watch = call.verb == "WATCH" and call.object.endswith("/aichatworkspaces")
        return Stream(edit) if is_watch else None

    return rule


def test_a_silent_watch_of_the_apis_is_noticed_within_seventy_seconds(
    cluster: Cluster, api_proxy: tuple[Proxy, Path], boss: Person, tmp_path: Path
) -> None:
    """F5: its connection stands, and says nothing."""
    with calls(api_proxy, boss, tmp_path) as client:
        make(cluster, "before-silence")
        eventually(lambda: "before-silence" in listed(client), "it is listed")
        api_proxy[0].silence("aichatworkspaces")
        make(cluster, "in-silence")
        eventually(lambda: "in-silence" in listed(client), "it is listed, too", 70)


def test_an_api_that_starts_with_an_older_list_shows_the_newer_one_in_the_end(
    cluster: Cluster, api_proxy: tuple[Proxy, Path], boss: Person, tmp_path: Path
) -> None:
    """F3: the list is of before a workspace was deleted and made again; what it would change by it
    is refused."""
    proxy = api_proxy[0]
    make(cluster, "reborn", "departed")
    with calls(api_proxy, boss, tmp_path) as client:
        assert listed(client).keys() == {"reborn", "departed"}
        old = OldLists(cluster, proxy, at_least=3)
    for name in ("reborn", "departed"):
        cluster.kube.delete("aiws", name, TEAM)
    make(cluster, "reborn")
    proxy.rule = old.rule
    with calls(api_proxy, boss, tmp_path) as client:
        assert listed(client).keys() == {"reborn", "departed"}, "the older list"
        answer = client.delete(f"{PATH}/reborn?team={TEAM}")
        let_pass(1, "the deletion would take effect")
        assert resources(cluster) == ["reborn"], answer.text
        assert answer.status_code >= 400
        old.released.set()
        proxy.rule = lambda _: None
        eventually(lambda: listed(client).keys() == {"reborn"}, "the newer list", 60)
