"""Two replicas of the operator: one leads, the other takes over while a workspace comes up."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import (
    HANDED_OVER_SECONDS,
    SECOND,
    SYSTEM,
    Node,
    another_leads,
    holder,
    leader,
    make_workspace,
    pod_of,
    wait_ready,
)
from tests.e2e.webui import WebUI
from tests.e2e.workspace import answers, chats, keep_a_chat
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("workspaces")
THIRD = "team-c-aichat"
OPERATOR = "aichat-workspace-operator"
# A lease that is not given back has to run out: 15 s, and what a candidate needs to see it.
AFTER_A_KILL_SECONDS = 30


def test_two_replicas_are_ready_and_one_of_them_leads(node: Node) -> None:
    await_both(node)
    pods = replicas(node)
    assert len(pods) == 2
    assert leader(node) in {pod["metadata"]["name"] for pod in pods}
    for pod in pods:
        ready = {
            condition["type"]: condition["status"] for condition in pod["status"]["conditions"]
        }
        assert ready["Ready"] == "True"


def await_both(node: Node) -> None:
    node.kubectl("rollout", "status", f"deployment/{OPERATOR}", "-n", SYSTEM, "--timeout=170s")


def replicas(node: Node) -> list[Any]:
    pods = node.kube.get("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=manager")
    return [pod for pod in pods["items"] if "deletionTimestamp" not in pod["metadata"]]


def test_each_replica_serves_its_metrics_and_one_says_that_it_leads(node: Node) -> None:
    pods = [pod["metadata"]["name"] for pod in replicas(node)]
    scraped = {pod: scrape(node, pod) for pod in pods}
    leads = {pod for pod in pods if "aichat_operator_leader 1.0" in scraped[pod]}
    assert leads == {leader(node)}
    page = scraped[leader(node)]
    assert 'aichat_model_pulls_total{result="ok"}' in page
    watches = 'aichat_operator_kube_requests_total{code="200",resource="namespaces",verb="WATCH"}'
    eventually(lambda: watches in scrape(node, leader(node)), "it counts a watch that has ended")
    eventually(lambda: counts_ready_workspaces(node), "it counts the workspaces that are ready")


def counts_ready_workspaces(node: Node) -> bool:
    phases = [
        resource.get("status", {}).get("phase") for resource in node.kube.get("aiws", "-A")["items"]
    ]
    return f'aichat_workspaces{{phase="Ready"}} {phases.count("Ready")}.0' in scrape(
        node, leader(node)
    )


def scrape(node: Node, pod: str) -> str:
    return node.kubectl(
        "get", "--raw", f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:8081/proxy/metrics"
    )


def test_the_leader_ends_while_a_workspace_comes_up_and_it_comes_up(node: Node) -> None:
    first = holder(node)
    make_workspace(node, THIRD, patterns=[])
    node.kubectl("delete", "pod", pod_of(first), "-n", SYSTEM, "--wait=false")
    another_leads(node, first, HANDED_OVER_SECONDS)
    wait_ready(node, "aichatworkspace-team-c", THIRD)
    node.kubectl("delete", "aiws", "aichatworkspace-team-c", "-n", SYSTEM, "--timeout=120s")


def test_a_deletion_while_no_replica_leads_is_repaired(node: Node, chat: WebUI) -> None:
    keep_a_chat(chat)
    chats_before = chats(chat)
    await_both(node)
    first = holder(node)
    policy = ("networkpolicy", f"{SECOND}-ollama", SECOND)
    os.kill(process_of(pod_of(first)), signal.SIGKILL)
    node.kube.delete(*policy)
    another_leads(node, first, AFTER_A_KILL_SECONDS)
    eventually(lambda: node.kube.has(*policy), "the policy is back", 180)
    assert chats_before <= chats(chat)
    assert answers(chat, "gemma2:2b")
    await_both(node)


def process_of(pod: str) -> int:
    """The operator's process in a pod, as this machine numbers it: from inside a container its
    first process can not be killed."""
    (pid,) = (
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and is_operator_of(process, pod)
    )
    return pid


def is_operator_of(process: Path, pod: str) -> bool:
    try:
        if OPERATOR.encode() not in (process / "cmdline").read_bytes():
            return False
        return (process / "root" / "etc" / "hostname").read_text().strip() == pod
    except OSError:
        return False  # it has ended meanwhile
