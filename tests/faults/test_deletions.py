"""What people delete right before or right after a write of the operator."""

import pytest

from tests.faults.conftest import Operator, Rest
from tests.faults.oracles import are_gone, assert_nothing_remains
from tests.faults.proxy import Beside, Call, Fault, Proxy
from tests.faults.steps import delete, heal, make, of_making, once_each
from tests.integration.conftest import SYSTEM, Cluster
from tests.waiting import eventually


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_workspace_that_is_deleted_beside_any_write_leaves_nothing(
    cluster: Cluster,
    proxy: Proxy,
    operator: Operator,
    writes: list[Call],
    before: frozenset[str],
    rest: Rest,
    when: str,
) -> None:
    """F9: the resource goes right before, or right after, each write of its making."""
    names = {f"dropped-{when}-{n}": write for n, write in enumerate(of_making(writes))}
    struck: set[str] = set()

    def drop(name: str, _: Call) -> Fault:
        return Beside(**{when: lambda: cluster.kube.delete("aiws", name, SYSTEM)})

    proxy.rule = once_each(names, drop, struck)
    make(cluster, *names)
    eventually(lambda: struck == {*names}, "each write came", 240)
    eventually(lambda: are_gone(cluster, *names), "all are gone", 240)
    assert_nothing_remains(cluster, before)
    rest("F9")
    assert operator.alive


@pytest.mark.parametrize("what", ["namespace", "object"])
def test_what_is_removed_by_hand_right_after_its_write_comes_back(
    cluster: Cluster,
    proxy: Proxy,
    operator: Operator,
    writes: list[Call],
    before: frozenset[str],
    what: str,
) -> None:
    """F9: the tenant's namespace, or the object that was just written."""
    written = [write for write in of_making(writes) if "/aichatworkspaces/" not in write.object]
    objects = [write for write in written if "/namespaces/NAME/" in write.object]
    names = {f"{what}-{n}": write for n, write in enumerate(objects)}
    struck: set[str] = set()
    removed: list[str] = []

    def remove(name: str, call: Call) -> Fault:
        path = call.object if what == "object" else f"/api/v1/namespaces/{name}"

        def delete_it() -> None:
            cluster.kubectl("delete", "--raw", path)
            removed.append(path)

        return Beside(after=delete_it)

    proxy.rule = once_each(names, remove, struck)
    make(cluster, *names)
    eventually(lambda: len(removed) == len(names), "each write came", 240)
    for path in removed:
        if "/secrets/" in path:
            starts_without(cluster, path)
    heal(cluster, *names)
    delete(cluster, *names, before=before)
    assert operator.alive


def starts_without(cluster: Cluster, secret: str) -> None:
    """The chat's pod is told to miss its Secret, as a kubelet would tell it, until it is there: the
    operator may not read Secrets, and writes one again when a pod misses it."""
    *_, namespace, _, name = secret.split("/")
    chat = f"app.kubernetes.io/name={namespace}-openwebui"

    def pods() -> list[str]:
        items = cluster.get("pod", "-n", namespace, "-l", chat)["items"]
        return [str(pod["metadata"]["name"]) for pod in items]

    def tell(*statuses: object) -> None:
        change = {"status": {"containerStatuses": statuses}}
        cluster.kube.patch("pod", pod, namespace, change, subresource="status")

    eventually(pods, "the chat has a pod")
    (pod,) = pods()
    message = f'secret "{name}" not found'
    waiting = {"reason": "CreateContainerConfigError", "message": message}
    container = {"name": "openwebui", "image": "", "imageID": "", "ready": False}
    tell({**container, "restartCount": 0, "state": {"waiting": waiting}})
    eventually(lambda: cluster.kube.has("secret", name, namespace), "the Secret is back")
    tell()
