"""Two replicas of the operator: one leads, the other takes over while a workspace comes up."""

import json
import os
import signal
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import (
    HANDED_OVER_SECONDS,
    ROOT,
    SECOND,
    SYSTEM,
    Node,
    another_leads,
    kustomize,
    leader,
    wait_ready,
)
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("chat")
THIRD = "team-c-aichat"
OPERATOR = "aichat-workspace-operator"
# A lease that is not given back has to run out: 15 s, and what a candidate needs to see it.
AFTER_A_KILL_SECONDS = 30


def test_two_replicas_are_ready_and_one_of_them_leads(node: Node) -> None:
    pods = json.loads(
        node.kubectl(
            *("get", "pods", "-n", SYSTEM, "-o", "json"),
            *("-l", "app.kubernetes.io/component=manager"),
        )
    )["items"]
    assert len(pods) == 2
    assert leader(node) in {pod["metadata"]["name"] for pod in pods}
    for pod in pods:
        ready = {each["type"]: each["status"] for each in pod["status"]["conditions"]}
        assert ready["Ready"] == "True"


def test_each_replica_serves_its_metrics_and_one_says_that_it_leads(node: Node) -> None:
    pods = node.kubectl(
        *("get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=manager"),
        *("-o", "jsonpath={.items[*].metadata.name}"),
    ).split()
    scraped = {pod: scrape(node, pod) for pod in pods}
    leads = {pod for pod in pods if "aichat_leader 1.0" in scraped[pod]}
    assert leads == {leader(node)}
    told = scraped[leads.pop()]
    assert 'aichat_workspaces{phase="Ready"} 2.0' in told
    assert 'aichat_model_pulls_total{result="ok"}' in told
    assert 'aichat_api_requests_total{code="200",resource="namespaces",verb="WATCH"}' in told


def scrape(node: Node, pod: str) -> str:
    return node.kubectl(
        "get", "--raw", f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:8081/proxy/metrics"
    )


def test_the_leader_ends_while_a_workspace_comes_up_and_it_comes_up(node: Node) -> None:
    first = leader(node)
    sample = yaml.safe_load(kustomize(ROOT / "config" / "samples"))
    sample["metadata"]["name"] = "aichatworkspace-team-c"
    sample["spec"].update(workspaceName=THIRD, patterns=[])
    node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(sample))
    node.kubectl("delete", "pod", first, "-n", SYSTEM, "--wait=false")
    another_leads(node, first, HANDED_OVER_SECONDS)
    wait_ready(node, "aichatworkspace-team-c", THIRD)
    node.kubectl("delete", "aiws", "aichatworkspace-team-c", "-n", SYSTEM, "--timeout=120s")


def test_the_leader_is_killed_and_what_happens_meanwhile_is_mended(node: Node) -> None:
    node.kubectl("rollout", "status", f"deployment/{OPERATOR}", "-n", SYSTEM, "--timeout=60s")
    first = leader(node)
    policy = ("networkpolicy", f"{SECOND}-dns", "-n", SECOND)
    os.kill(process_of(first), signal.SIGKILL)
    node.kubectl("delete", *policy)
    another_leads(node, first, AFTER_A_KILL_SECONDS)
    eventually(lambda: node.try_kubectl("get", *policy).returncode == 0, "the policy is back", 30)
    node.kubectl("rollout", "status", f"deployment/{OPERATOR}", "-n", SYSTEM, "--timeout=60s")


def process_of(pod: str) -> int:
    """The operator's process in a pod, as this machine numbers it: from inside a container nobody
    can kill its first process."""
    (found,) = (
        int(each.name)
        for each in Path("/proc").iterdir()
        if each.name.isdigit() and is_operator_of(each, pod)
    )
    return found


def is_operator_of(process: Path, pod: str) -> bool:
    try:
        if OPERATOR.encode() not in (process / "cmdline").read_bytes():
            return False
        return (process / "root" / "etc" / "hostname").read_text().strip() == pod
    except OSError:
        return False  # it has ended meanwhile
