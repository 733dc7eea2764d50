"""Events that do not come when they should, and lists that are older than the truth."""

import json
import threading
from collections import Counter
from typing import Any, Final

from tests.faults.conftest import Operator, Rest
from tests.faults.oracles import (
    are_gone,
    are_made,
    assert_nothing_remains,
    creations,
    writes,
)
from tests.faults.proxy import Call, Fault, Hold, Proxy, Recorded, Stream
from tests.faults.steps import assert_as_undisturbed, delete, heal, make
from tests.integration.conftest import SYSTEM, Cluster
from tests.waiting import eventually, let_pass

Event = dict[str, Any]
_BOOKMARKS: Final = ("BOOKMARK", "ERROR")


def line(event: Event) -> bytes:
    return json.dumps(event).encode() + b"\n"


def identity(event: Event) -> tuple[str, str, str]:
    metadata = event["object"]["metadata"]
    return event["type"], metadata["uid"], metadata["resourceVersion"]


def restart(operator: Operator) -> None:
    """So that its watches go through the proxy's rule."""
    operator.kill()
    operator.start()


def test_each_event_that_is_lost_with_its_connection_comes_again(
    cluster: Cluster, proxy: Proxy, operator: Operator, before: frozenset[str], rest: Rest
) -> None:
    """F4: every event about these workspaces is swallowed the first time, and the watch breaks."""
    names = ("unheard-a", "unheard-b")
    lost: set[tuple[str, str, str]] = set()

    def edit(event: Event) -> list[bytes] | None:
        if event["type"] in _BOOKMARKS or "unheard-" not in json.dumps(event["object"]["metadata"]):
            return [line(event)]
        if identity(event) in lost:
            return [line(event)]
        lost.add(identity(event))
        return None

    proxy.rule = lambda call: Stream(edit) if call.verb == "WATCH" else None
    restart(operator)
    make(cluster, *names)
    eventually(lambda: are_made(cluster, *names), "all are made", 240)
    assert_as_undisturbed(cluster, *names)
    cluster.kube.delete("deployment", "unheard-a-openwebui", "unheard-a")
    heal(cluster, *names, seconds=120)
    rest("F4")
    delete(cluster, *names, before=before)
    assert {kind for kind, _, _ in lost} == {"ADDED", "MODIFIED", "DELETED"}


def test_an_event_of_a_write_of_ours_need_not_come_at_all(
    cluster: Cluster, proxy: Proxy, operator: Operator, before: frozenset[str]
) -> None:
    """F4: of every object that the operator makes the first event is swallowed, and the watch goes
    on as if nothing had been."""
    names = ("silent-a", "silent-b")
    swallowed: set[str] = set()

    def edit(event: Event) -> list[bytes] | None:
        kind, metadata = event["object"].get("kind"), event["object"]["metadata"]
        uid = metadata.get("uid", "")
        is_ours = "silent-" in json.dumps(metadata) and kind not in ("AIChatWorkspace", "Pod")
        if event["type"] != "ADDED" or not is_ours or uid in swallowed:
            return [line(event)]
        swallowed.add(uid)
        return []

    proxy.rule = lambda call: Stream(edit) if call.verb == "WATCH" else None
    restart(operator)
    make(cluster, *names)
    eventually(lambda: are_made(cluster, *names), "all are made", 120)
    assert_as_undisturbed(cluster, *names)
    for name in names:
        cluster.kube.delete("service", f"{name}-ollama", name)
    heal(cluster, *names, seconds=120)
    delete(cluster, *names, before=before)
    assert len(swallowed) >= 2 * 14, "of each object"


def test_a_creation_and_a_deletion_that_come_as_one_leave_nothing_wrong(
    cluster: Cluster, proxy: Proxy, operator: Operator, before: frozenset[str]
) -> None:
    """F4: a resource that is gone before the operator hears of it, and objects that were replaced:
    of each only the last event comes."""
    is_deaf = threading.Event()
    deletions: Counter[str] = Counter()

    def edit(event: Event) -> list[bytes] | None:
        if is_deaf.is_set():
            return []
        if event["type"] == "DELETED" and event["object"]["metadata"]["name"] == "joined-openwebui":
            deletions[event["object"]["kind"]] += 1
            return []
        return [line(event)]

    proxy.rule = lambda call: Stream(edit) if call.verb == "WATCH" else None
    restart(operator)
    make(cluster, "joined")
    eventually(lambda: are_made(cluster, "joined"), "joined is made")
    for kind in ("deployment", "service", "ingress"):
        manifest = cluster.get(kind, "joined-openwebui", "-n", "joined")
        metadata = {key: manifest["metadata"][key] for key in ("name", "namespace", "labels")}
        spec = {k: v for k, v in manifest["spec"].items() if not k.startswith("clusterIP")}
        foreign = {**manifest, "metadata": metadata, "spec": spec}
        foreign.pop("status", None)
        cluster.kube.delete(kind, "joined-openwebui", "joined")
        cluster.kube.apply(foreign)
    heal(cluster, "joined", seconds=120)
    assert deletions.keys() == {"Deployment", "Service", "Ingress"}
    is_deaf.set()
    tried = len(writes(proxy))
    make(cluster, "ephemeral")
    cluster.kube.delete("aiws", "ephemeral", SYSTEM)
    let_pass(2, "its events would come")
    is_deaf.clear()
    delete(cluster, "joined", before=before)
    assert not [call for call in writes(proxy)[tried:] if "ephemeral" in call.object]


class OldLists:
    """What the API server listed at a moment, to be given again at another."""

    def __init__(self, cluster: Cluster, proxy: Proxy, at_least: int = 15) -> None:
        queries = {
            f"{call.object}?{call.query}"
            for call in proxy.calls
            if call.verb == "GET" and "limit=" in call.query and "continue" not in call.query
        }
        assert len(queries) >= at_least
        self.released = threading.Event()
        self._bodies = {
            query: cluster.kubectl("get", "--raw", query, check=False).encode() for query in queries
        }

    def rule(self, call: Call) -> Fault | None:
        """Answer lists with the old ones, and hold watches until they are released."""
        body = self._bodies.get(f"{call.object}?{call.query}", b"")
        if call.verb == "WATCH":
            return Hold(self.released)
        return Recorded(body) if call.verb == "GET" and body.startswith(b"{") else None


def act_on(old: OldLists, proxy: Proxy, operator: Operator) -> None:
    """Start with lists that are out of date, let the operator act, and then let the truth come."""
    proxy.rule = old.rule
    restart(operator)
    let_pass(5, "it acts on what it was told")
    old.released.set()
    proxy.rule = lambda _: None


def test_a_restart_with_an_older_list_harms_nothing_that_is_newer(
    cluster: Cluster, proxy: Proxy, operator: Operator, before: frozenset[str], rest: Rest
) -> None:
    """F3: lists of three moments of a workspace's former life: new, provisioned, being deleted.
    Another of the same name is there when they come, and in the end none."""
    restart(operator)
    operator.kill()
    make(cluster, "reborn")
    lists = [OldLists(cluster, proxy)]
    operator.start()
    eventually(lambda: are_made(cluster, "reborn"), "its first life")
    lists.append(OldLists(cluster, proxy))
    operator.kill()
    cluster.kube.delete("aiws", "reborn", SYSTEM)
    lists.append(OldLists(cluster, proxy))
    operator.start()
    eventually(lambda: are_gone(cluster, "reborn"), "it is gone")
    make(cluster, "reborn")
    eventually(lambda: are_made(cluster, "reborn"), "its second life")
    let_pass(2, "the audit log has it all")
    lives, uid = creations(cluster, "reborn"), namespace_uid(cluster)
    credentials = cluster.get("secret", "reborn-credentials", "-n", SYSTEM)["data"]
    for old in lists:
        act_on(old, proxy, operator)
        heal(cluster, "reborn", seconds=120)
        assert namespace_uid(cluster) == uid
        assert cluster.get("secret", "reborn-credentials", "-n", SYSTEM)["data"] == credentials
    assert creations(cluster, "reborn") == lives, "nothing was made once more"
    rest("F3")
    delete(cluster, "reborn", before=before)
    for old in lists:
        old.released.clear()
        act_on(old, proxy, operator)
        let_pass(5, "it would make what is not asked for")
        assert are_gone(cluster, "reborn")
    assert_nothing_remains(cluster, before)


def namespace_uid(cluster: Cluster) -> str:
    return str(cluster.get("namespace", "reborn")["metadata"]["uid"])
