"""Two replicas of the operator: one leads, the other takes over while a workspace comes up."""

import json
import time

import pytest
import yaml

from tests.e2e.conftest import ROOT, SYSTEM, Node, eventually, kustomize, wait_ready

pytestmark = pytest.mark.usefixtures("chat")
LEASE = ("get", "lease", "aichat-workspace-operator", "-n", SYSTEM, "-o", "json")
THIRD = "team-c-aichat"


def leader(node: Node) -> str:
    """The leading pod's name; empty while there is none."""
    holder: str = json.loads(node.kubectl(*LEASE))["spec"].get("holderIdentity") or ""
    return holder.partition("_")[0]


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
    started = time.monotonic()
    eventually(lambda: leader(node) not in ("", first), "another replica leads", 20)
    print(f"handed over in {time.monotonic() - started:.1f} s")
    wait_ready(node, "aichatworkspace-team-c", THIRD)
    node.kubectl("delete", "aiws", "aichatworkspace-team-c", "-n", SYSTEM, "--timeout=120s")
