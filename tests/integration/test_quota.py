"""The quota has room for one pod of each workload. A deleted pod counts until it is gone, so here
pods end late: they are on a node without a kubelet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import SYSTEM, Cluster, workspace
from tests.integration.tenants import condition
from tests.waiting import eventually, let_pass

pytestmark = pytest.mark.usefixtures("operator")
NODE = "without-a-kubelet"
NAME = "snug"


@pytest.fixture(scope="module")
def tenant(cluster: Cluster, operator: Path) -> Iterator[str]:
    """A workspace with a ready pod of each workload."""
    assert operator
    cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
    cluster.apply(workspace(NAME))
    for workload in ("ollama", "openwebui"):
        eventually(lambda name=workload: pods(cluster, name), f"{workload} has a pod")  # type: ignore[misc]
        run(cluster, pods(cluster, workload)[0])
    yield NAME
    cluster.kube.delete("node", NODE)
    cluster.kube.delete("aiws", NAME, SYSTEM)


def pods(cluster: Cluster, workload: str) -> list[Any]:
    label = f"app.kubernetes.io/name={NAME}-{workload}"
    items: list[Any] = cluster.get("pods", "-n", NAME, "-l", label)["items"]
    return items


def run(cluster: Cluster, pod: Any) -> None:
    """Do what the scheduler and a kubelet would do for a pod that works."""
    name = pod["metadata"]["name"]
    target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
    path = f"/api/v1/namespaces/{NAME}/pods/{name}/binding"
    cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    cluster.kube.patch("pod", name, NAME, {"status": ready}, "status")


def end(cluster: Cluster, pod: Any) -> None:
    """Do what a kubelet would do when the containers have ended."""
    name = pod["metadata"]["name"]
    cluster.kubectl("delete", "pod", name, "-n", NAME, "--force", "--grace-period=0")


def is_ending(cluster: Cluster, workload: str, uid: str) -> bool:
    return any(
        pod["metadata"]["uid"] == uid and "deletionTimestamp" in pod["metadata"]
        for pod in pods(cluster, workload)
    )


def successors(cluster: Cluster, workload: str, uid: str) -> list[Any]:
    return [pod for pod in pods(cluster, workload) if pod["metadata"]["uid"] != uid]


@pytest.mark.parametrize(
    ("part", "workload", "memory"), [("ollama", "ollama", "9Gi"), ("openWebUI", "openwebui", "3Gi")]
)
def test_a_rollout_fits_because_it_starts_the_new_pod_when_the_old_one_is_gone(
    cluster: Cluster, tenant: str, part: str, workload: str, memory: str
) -> None:
    (old,) = pods(cluster, workload)
    uid = old["metadata"]["uid"]
    change = {"spec": {"resources": {part: {"memoryLimit": memory}}}}
    cluster.kube.patch("aiws", tenant, SYSTEM, change)
    eventually(lambda: is_ending(cluster, workload, uid), "the old pod is deleted")
    let_pass(2, "a new pod that nothing holds back would be there by then")
    assert successors(cluster, workload, uid) == []
    end(cluster, old)
    eventually(lambda: successors(cluster, workload, uid), "the new pod is there", 30)
    (new,) = successors(cluster, workload, uid)
    assert new["spec"]["containers"][0]["resources"]["limits"]["memory"] == memory
    run(cluster, new)


def test_a_deleted_chat_is_replaced_when_it_is_gone_and_no_problem_is_reported_meanwhile(
    cluster: Cluster, tenant: str
) -> None:
    """A Deployment asks for the next pod at once, and the quota refuses it for so long."""
    (old,) = pods(cluster, "openwebui")
    uid = old["metadata"]["uid"]
    cluster.kube.delete("pod", old["metadata"]["name"], tenant)

    def is_refused() -> bool:
        conditions = cluster.get("deployment", f"{tenant}-openwebui", "-n", tenant)["status"][
            "conditions"
        ]
        return any("exceeded quota" in condition.get("message", "") for condition in conditions)

    eventually(is_refused, "the next pod is refused")
    let_pass(2, "the operator would have reported it by then")
    assert condition(cluster, tenant, "OpenWebUIAvailable")["reason"] == "Starting"
    assert successors(cluster, "openwebui", uid) == []
    end(cluster, old)
    eventually(lambda: successors(cluster, "openwebui", uid), "the next pod is there", 30)
    run(cluster, successors(cluster, "openwebui", uid)[0])
