"""Other writers of the same objects, and objects that others have put where ours belong."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.faults.conftest import Operator, Rest
from tests.faults.oracles import are_made, assert_nothing_twice, became
from tests.faults.proxy import Beside, Call, Fault, Proxy
from tests.faults.steps import CALM, delete, heal, make, of_making, once_each
from tests.integration.conftest import SYSTEM, Cluster
from tests.integration.tenants import condition
from tests.waiting import eventually

DECOY: Final = "decoy"


def test_a_foreign_object_in_the_place_of_any_of_ours_becomes_ours(
    cluster: Cluster,
    proxy: Proxy,
    operator: Operator,
    writes: list[Call],
    before: frozenset[str],
    rest: Rest,
) -> None:
    """F8: in a namespace of ours a rival has made the object right before the operator writes it.
    A Secret's name is known to no rival: it has a digest of random data in it."""
    objects = [
        write
        for write in of_making(writes)
        if "/namespaces/NAME/" in write.object and "/secrets/" not in write.object
    ]
    names = {f"preempted-{n}": write for n, write in enumerate(objects)}
    calm = became(cluster, CALM)
    struck: set[str] = set()

    def preempt(name: str, call: Call) -> Fault:
        manifest = of_rival(calm, name, call.object)
        text = json.dumps(manifest)
        return Beside(before=lambda: cluster.kubectl("create", "-f", "-", stdin=text))

    proxy.rule = once_each(names, preempt, struck)
    make(cluster, *names)
    eventually(lambda: struck == {*names}, "each write came", 240)
    heal(cluster, *names)
    rest("F8")
    delete(cluster, *names, before=before)
    assert operator.alive


def of_rival(calm: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    """An object under the name of ours, without its labels."""
    plural, own_name = path.split("/")[-2:]
    (manifest,) = (
        manifest
        for manifest in calm.values()
        if is_plural(plural, manifest["kind"])
        and own_name == manifest["metadata"]["name"].replace("NAME", name)
    )
    body = {key: value for key, value in manifest.items() if key != "metadata"}
    named = json.loads(json.dumps(body).replace("NAME", name))
    return {**named, "metadata": {"name": own_name, "namespace": name}}


def is_plural(plural: str, kind: str) -> bool:
    return plural.startswith(kind.lower()[:-1]) and len(plural) - len(kind) in (1, 2, 3)


def test_what_others_have_in_the_place_of_namespace_or_credentials_is_not_touched(
    cluster: Cluster, proxy: Proxy, operator: Operator, before: frozenset[str]
) -> None:
    """F8: it is made right before the operator would make its own, which follows once it is
    gone."""
    taken = {
        "/api/v1/namespaces/pitched": ("namespace", "pitched", ""),
        f"/api/v1/namespaces/{SYSTEM}/secrets/locked-credentials": (
            "secret",
            "locked-credentials",
            SYSTEM,
        ),
    }
    struck: set[str] = set()

    def preempt(call: Call) -> Fault | None:
        if call.object not in taken or call.object in struck:
            return None
        struck.add(call.object)
        kind, name, namespace = taken[call.object]
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        theirs = {"apiVersion": "v1", "kind": kind.capitalize(), "metadata": metadata}
        return Beside(before=lambda: cluster.kube.apply(theirs))

    proxy.rule = preempt
    make(cluster, "pitched", "locked")
    reasons = {"pitched": "NamespaceTaken", "locked": "SecretTaken"}
    for name, reason in reasons.items():
        eventually(
            lambda name=name, reason=reason: (  # type: ignore[misc]
                condition(cluster, name, "Ready").get("reason") == reason
            ),
            reason,
        )
    for kind, name, namespace in taken.values():
        metadata = cluster.get(kind, name, "-n", namespace, "--show-managed-fields")["metadata"]
        assert {entry["manager"] for entry in metadata.get("managedFields", ())} <= {"kubectl"}
        assert "deletionTimestamp" not in metadata
        cluster.kube.delete(kind, name, namespace)
    heal(cluster, "pitched", "locked", seconds=180)
    delete(cluster, "pitched", "locked", before=before)
    assert operator.alive


@contextmanager
def rival_at_work(cluster: Cluster, *names: str) -> Iterator[list[str]]:
    """Another client that edits the workspaces' objects again and again. Gives what it did."""
    edits: list[str] = []
    ended = threading.Event()
    changes: tuple[tuple[str, str, Any], ...] = (
        ("deployment", "openwebui", {"spec": {"replicas": 3}}),
        ("service", "ollama", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}}),
        ("ingress", "openwebui", {"spec": {"ingressClassName": "theirs"}}),
        ("statefulset", "ollama", {"spec": {"replicas": 3}}),
    )

    def edit() -> None:
        while not ended.wait(0.2):
            for kind, workload, change in changes:
                for name in names:
                    target = (kind, f"{name}-{workload}", name)
                    if cluster.kube.has(*target):
                        cluster.kube.patch(*target, change)
                        edits.append(f"{kind} {name}")

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield edits
    finally:
        ended.set()
        thread.join()


def test_a_competing_writer_loses_and_its_own_namespace_is_left_alone(
    cluster: Cluster, proxy: Proxy, operator: Operator, before: frozenset[str]
) -> None:
    """F8: it edits objects of ours while they are made and changed, for fifteen seconds. What looks
    like ours elsewhere keeps its version."""
    names = ("fought-a", "fought-b", "fought-c")
    decoys = decoy(cluster)
    with rival_at_work(cluster, *names) as edits:
        make(cluster, *names)
        eventually(lambda: are_made(cluster, *names), "all are made", 120)
        eventually(lambda: len(edits) > 40, "the rival has done much", 60)
    heal(cluster, *names, seconds=180)
    assert_nothing_twice(cluster, *names)
    assert versions(cluster) == decoys
    cluster.kubectl("delete", "namespace", DECOY, "--timeout=60s")
    delete(cluster, *names, before=before)
    assert operator.alive
    assert proxy.done


def decoy(cluster: Cluster) -> dict[str, str]:
    """A namespace of another's with objects of our names and labels."""
    labels = {"app.kubernetes.io/managed-by": "aichat-workspace-operator"}
    metadata = {"name": DECOY, "labels": {**labels, "aichatworkspace": "fought-a"}}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    for name in ("fought-a-ollama", "fought-a-openwebui"):
        placed = {"name": name, "namespace": DECOY, "labels": metadata["labels"]}
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": placed,
                "spec": {"ports": [{"port": 80}]},
            }
        )
    eventually(lambda: len(versions(cluster)) >= 5, "the controllers have completed it")
    return versions(cluster)


def versions(cluster: Cluster) -> dict[str, str]:
    items = [cluster.get("namespace", DECOY)]
    items += cluster.get("service,serviceaccount,configmap", "-n", DECOY)["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for item in items
    }


def test_a_terminating_namespace_is_waited_for(
    cluster: Cluster, proxy: Proxy, operator: Operator, before: frozenset[str]
) -> None:
    """F8: one of another's under the workspace's name, and the workspace's own; what holds them
    back goes after some seconds."""
    names = ("ending-theirs", "ending-ours")
    cluster.kubectl("create", "namespace", "ending-theirs")
    make(cluster, "ending-ours")
    eventually(lambda: are_made(cluster, "ending-ours"), "ours is made")
    for name in names:
        metadata = {"name": "holds", "namespace": name, "finalizers": ["example.org/holds"]}
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        cluster.kube.delete("namespace", name)
    make(cluster, "ending-theirs")
    reasons = {"NamespaceTaken", "NamespaceTerminating"}
    eventually(
        lambda: {condition(cluster, name, "Ready").get("reason") for name in names} <= reasons,
        "both are told",
    )
    for name in names:
        cluster.kube.patch("configmap", "holds", name, {"metadata": {"finalizers": None}})
    heal(cluster, *names)
    delete(cluster, *names, before=before)
    assert operator.alive
    assert proxy.done
