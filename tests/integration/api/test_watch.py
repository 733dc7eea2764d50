"""The watch tells every state that stays, in order, whatever happens to the API meanwhile."""

import json
import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final

import httpx2
import pytest

from tests.integration.api.served import PEOPLE, TEAMS, Person, Served, grant, person
from tests.integration.conftest import Cluster
from tests.waiting import eventually

ONE, TWO = TEAMS
PATH: Final = "/api/v1/workspaces"
WATCH: Final = f"{PATH}:watch"
_PAGE: Final = f"{PATH}?limit=1000"
_SEED: Final = 20_240_601


@dataclass(frozen=True)
class Event:
    kind: str
    data: dict[str, Any]
    id: str | None


def events_of(lines: Iterator[str]) -> Iterator[Event]:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation"""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield Event("heartbeat", {}, None)
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}


@dataclass
class Follower:
    """A client that watches, reconnects when a stream ends, and records the events."""

    apis: Sequence[Served]
    token: str
    hop_after: int = 0
    """Events after which it goes on at the next replica; 0 for never."""
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    resumed: int = 0
    last_id: str = ""
    _done: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def following(self) -> Iterator["Follower"]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._done.set()
            thread.join(timeout=60)
            assert not thread.is_alive()

    def _run(self) -> None:
        for api in cycle(self.apis):
            try:
                self._follow(api)
            except httpx2.TransportError:
                time.sleep(0.2)
            if self._done.is_set():
                return

    def _follow(self, api: Served) -> None:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        with (
            api.client(self.token, **headers) as client,
            client.stream("GET", WATCH, timeout=httpx2.Timeout(5, read=20)) as answer,
        ):
            if answer.status_code != 200:
                time.sleep(0.2)
                return
            for number, event in enumerate(events_of(answer.iter_lines()), start=1):
                self._take(event, first=number == 1, resumed=bool(headers))
                if self._done.is_set() or number == self.hop_after:
                    return

    def _take(self, event: Event, *, first: bool, resumed: bool) -> None:
        if first and resumed and event.kind != "reset":
            self.resumed += 1
        if event.id is not None:
            self.last_id = event.id
        if event.kind == "reset":
            self.known.clear()
        elif event.kind in ("ADDED", "MODIFIED", "DELETED"):
            self._note(event)

    def _note(self, event: Event) -> None:
        name, count = event.data["name"], _count(event.data)
        if count < self.highest.get(name, 0):
            self.wrong.append(f"{event.kind} {name} {count} after {self.highest[name]}")
        self.highest[name] = max(count, self.highest.get(name, 0))
        if event.kind == "DELETED":
            self.known.pop(name, None)
        else:
            self.known[name] = event.data


def _count(document: dict[str, Any]) -> int:
    """Which of our writes made this state: it grows with each."""
    return int(document["spec"]["access"]["passwordReset"] or 0)


def churn(client: httpx2.Client, rounds: int, rng: random.Random, count: int) -> int:
    """Create, change and delete at random; gives how many writes there have been."""
    names = {item["name"] for item in client.get(PATH).json()["items"]}
    for _ in range(rounds):
        count += 1
        name = f"churned-{rng.randrange(6)}"
        team = rng.choice(TEAMS)
        spec = {"access": {"passwordReset": str(count)}}
        if name not in names:
            body = {"team": team, "spec": {"workspaceName": name, **spec}}
            answer = client.post(PATH, json=body)
            names.add(name)
        elif rng.random() < 0.3:
            answer = client.delete(f"{PATH}/{name}")
            names.discard(name)
        else:
            answer = client.patch(f"{PATH}/{name}", json={"spec": spec})
        assert answer.is_success, answer.text
    return count


def now(client: httpx2.Client) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in client.get(PATH).json()["items"]}


def begun(api: Served, bearer: str, last_id: str = "") -> list[Event]:
    """What a stream says until it is up to date."""
    events = []
    with (
        api.client(bearer, **{"Last-Event-ID": last_id}) as client,
        client.stream("GET", WATCH) as answer,
    ):
        assert answer.status_code == 200
        for event in events_of(answer.iter_lines()):
            events.append(event)
            if event.kind == "synced":
                break
    return events


@pytest.mark.slow
def test_the_last_state_of_each_workspace_arrives_in_order_through_all_replicas(
    api: Served, other_api: Served, boss: Person
) -> None:
    """One follower stays with a replica that is killed and started again, one goes to and fro."""
    rng = random.Random(_SEED)  # noqa: S311  (the same each time)
    faithful = Follower([api], boss.token)
    restless = Follower([api, other_api], boss.token, hop_after=7)
    with (
        other_api.client(boss.token) as client,
        faithful.following(),
        restless.following(),
    ):
        count = churn(client, 60, rng, 0)
        api.kill()
        count = churn(client, 30, rng, count)
        api.start(ready=False)
        count = churn(client, 30, rng, count)
        eventually(api.is_ready, "the API is back", seconds=90)
        churn(client, 30, rng, count)
        eventually(lambda: faithful.known == now(client), "all is told", seconds=60)
        eventually(lambda: restless.known == now(client), "all is told", seconds=60)
    assert not faithful.wrong
    assert not restless.wrong
    assert restless.resumed


def test_reads_are_503_until_all_caches_are_filled(api: Served, boss: Person) -> None:
    """A replica that has just started must not say that a workspace is not there."""
    with api.client(boss.token) as client:
        body = {"team": ONE, "spec": {"workspaceName": "there-all-along"}}
        assert client.post(PATH, json=body).is_success
        api.kill()
        api.start(ready=False)
        seen = set()
        deadline = time.monotonic() + 90
        while 200 not in seen and time.monotonic() < deadline:
            try:
                seen.add(client.get(f"{PATH}/there-all-along").status_code)
            except httpx2.TransportError:
                time.sleep(0.005)
        assert seen <= {200, 503}
        assert 200 in seen


@pytest.mark.parametrize("made_up", ["99999999999999-0123456789abcdef", "1-0123456789abcdef", "x"])
def test_an_unknown_event_id_starts_the_watch_again(
    api: Served, boss: Person, made_up: str
) -> None:
    assert begun(api, boss.token, made_up)[0].kind == "reset"


def test_an_event_id_that_is_too_old_or_of_another_watch_starts_the_watch_again(
    api: Served, boss: Person, cluster: Cluster
) -> None:
    given = begun(api, boss.token)[-1].id
    assert given is not None
    assert begun(api, boss.token, given)[0].kind != "reset"
    _, _, seen = given.partition("-")
    assert begun(api, boss.token, f"1-{seen}")[0].kind == "reset"
    viewer = person(cluster, "one-viewer", [grant("one-viewer", "view", ONE)])
    assert begun(api, viewer.token, given)[0].kind == "reset"


def test_a_quiet_replica_takes_a_stream_over_at_once(
    api: Served, other_api: Served, boss: Person, cluster: Cluster
) -> None:
    """What else happens in the cluster moves its version, but tells a watch of workspaces nothing
    for a minute."""
    cluster.kubectl("label", "namespace", PEOPLE, f"moved=at-{time.monotonic_ns()}")
    other_api.kill()
    other_api.start()
    given = begun(other_api, boss.token)[-1].id
    assert given is not None
    begin = time.monotonic()
    assert begun(api, boss.token, given)[0].kind == "synced"
    assert time.monotonic() - begin < 8


def test_a_watch_lives_while_it_is_quiet_and_ends_when_its_permission_does(
    api: Served, boss: Person, cluster: Cluster
) -> None:
    unbound = person(cluster, "unbound", [grant("unbound", "view", ONE)])
    revoked = person(cluster, "revoked", [grant("revoked", "view", ONE)])
    followed: dict[str, list[tuple[float, Event]]] = {}
    began = time.monotonic()

    def follow(who: Person) -> None:
        received = followed.setdefault(who.name, [])
        with api.client(who.token) as client, client.stream("GET", WATCH) as answer:
            for event in events_of(answer.iter_lines()):
                received.append((time.monotonic() - began, event))
                if event.kind == "heartbeat" and who is boss:
                    return

    threads = [
        threading.Thread(target=follow, args=(caller,)) for caller in (unbound, revoked, boss)
    ]
    for thread in threads:
        thread.start()
    eventually(
        lambda: (
            len(followed) == 3 and all("synced" in _kinds(events) for events in followed.values())
        ),
        "all watch",
    )
    cluster.kubectl("delete", "rolebinding", "unbound-view", "-n", ONE)
    cluster.kubectl("delete", "serviceaccount", "revoked", "-n", PEOPLE)
    gone = time.monotonic() - began
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert _kinds(followed["boss"])[-1] == "heartbeat"
    for name, status in (("unbound", 403), ("revoked", 401)):
        moment, last = followed[name][-1]
        assert last.kind == "end"
        assert last.data["status"] == status
        assert moment - gone < 45


def _kinds(events: Sequence[tuple[float, Event]]) -> list[str]:
    return [event.kind for _, event in events]


def test_clients_that_do_not_read_cost_no_memory(api: Served, boss: Person) -> None:
    """Forty who open a watch and never read, while a large workspace changes again and again."""
    large = {"patterns": [f"{'p' * 61}{index:02}" for index in range(32)]}
    with api.client(boss.token) as client:
        body = {"team": ONE, "spec": {"workspaceName": "large", **large}}
        assert client.post(PATH, json=body).is_success
        _change_often(client, 50)
        sockets = [_deaf(api, boss, WATCH) for _ in range(40)]
        try:
            before = api.resident_bytes()
            _change_often(client, 300)
            grown = api.resident_bytes() - before
        finally:
            for connection in sockets:
                connection.close()
    assert grown < 16 * 1024 * 1024, f"{grown / 2**20:.1f} MiB"


@pytest.mark.slow
def test_clients_that_do_not_read_hundreds_of_workspaces_cost_no_memory(
    api: Served, boss: Person
) -> None:
    """Nor do they keep others from reading: a page is larger than what the kernel takes of it."""
    models = [f"{'n' * 80}/{'m' * 78}{index:02}" for index in range(32)]
    urls = [f"https://{index}.example.org/{'u' * 480}" for index in range(8)]
    connections = [
        {"name": f"c{index}", "url": url, "secretName": f"{'s' * 60}-{index}"}
        for index, url in enumerate(urls)
    ]
    large = {"models": models, "connections": connections}
    with api.client(boss.token) as client, ThreadPoolExecutor(4) as pool:

        def make(index: int) -> None:
            spec = {"workspaceName": f"hundreds-{index}", **large}
            assert client.post(PATH, json={"team": ONE, "spec": spec}).is_success

        def unmake(index: int) -> None:
            assert client.delete(f"{PATH}/hundreds-{index}").is_success

        list(pool.map(make, range(400)))
        for _ in range(20):
            assert len(client.get(_PAGE).content) > 4 * 1024 * 1024
        deaf: list[socket.socket] = []
        try:
            before = api.resident_bytes()
            deaf += [_deaf(api, boss, WATCH) for _ in range(40)]
            deaf += [_deaf(api, boss, _PAGE) for _ in range(40)]
            eventually(
                lambda: client.get(_PAGE).status_code == 429, "the caller's lists are limited"
            )
            grown = api.resident_bytes() - before
            assert grown < 24 * 1024 * 1024, f"{grown / 2**20:.1f} MiB"
        finally:
            for connection in deaf:
                connection.close()
        eventually(lambda: client.get(_PAGE).is_success, "who goes makes room")
        list(pool.map(unmake, range(400)))


def _deaf(api: Served, who: Person, path: str) -> socket.socket:
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.connect(("127.0.0.1", api.port))
    request = f"GET {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {who.token}\r\n\r\n"
    opened.sendall(request.encode())
    return opened


def _change_often(client: httpx2.Client, times: int) -> None:
    for index in range(times):
        spec = {"access": {"passwordReset": str(index)}}
        assert client.patch(f"{PATH}/large", json={"spec": spec}).is_success
