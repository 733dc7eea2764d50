"""A real node with the product installed as any user would install it."""

import base64
import json
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from aichat_workspace.domain import names
from tests import groups, run
from tests.e2e import machine
from tests.e2e.webui import WebUI
from tests.kube import Kube
from tests.waiting import eventually, recorded

ROOT, LOCALCLUSTER = machine.ROOT, machine.LOCALCLUSTER
SYSTEM = "aichat-workspace-operator-system"
OPERATOR_USER = f"system:serviceaccount:{SYSTEM}:aichat-workspace-operator"
API_USER = f"system:serviceaccount:{SYSTEM}:aichat-workspace-api"
IMAGE = f"docker.io/library/{names.OPERATOR}:v{version(names.OPERATOR)}"
DOMAIN = "aichat.localhost"
TENANT = "team-a-aichat"
SECOND = "team-b-aichat"
# Sooner than a lease runs out that its holder did not give back, which is after 15 s.
HANDED_OVER_SECONDS = 12
RESOURCE = "aichatworkspace-team-a"
# What even a small model knows; its likeliest reply, which tests ask for, holds the answer.
QUESTION, ANSWER = "What is the capital of France?", "Paris"


@dataclass(frozen=True)
class Node:
    """kubectl against the node's cluster, and what the API server wrote down of requests."""

    name: str
    kubeconfig: str
    audit_log: Path
    authority: str

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: int = 180) -> str:
        ran = self.try_kubectl(*arguments, stdin=stdin, seconds=seconds)
        assert ran.returncode == 0, f"kubectl {' '.join(arguments)}: {ran.stderr}"
        return ran.stdout

    def try_kubectl(
        self, *arguments: str, stdin: str | None = None, seconds: int = 180
    ) -> "subprocess.CompletedProcess[str]":
        with recorded(f"kubectl {' '.join(arguments)}"):
            return subprocess.run(
                ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )

    @cached_property
    def kube(self) -> Kube:
        return Kube(Path(self.kubeconfig))

    def requests(self, username: str) -> list[Any]:
        """Every request of a user that was answered, as the audit log has it."""
        with self.audit_log.open("rb") as log:
            # Most lines are about somebody else, and the last one may be half written.
            lines = (line for line in log if username.encode() in line and line.endswith(b"\n"))
            entries = map(json.loads, lines)
            return [entry for entry in entries if entry["user"]["username"] == username]

    def operator_requests(self) -> list[Any]:
        """Every request of the operator that was answered; watches, its lease and the probe of its
        confinement, every ten minutes, are left out."""
        return [
            entry
            for entry in self.requests(OPERATOR_USER)
            if entry["verb"] != "watch"
            and "/leases/" not in entry["requestURI"]
            and "dryRun=All" not in entry["requestURI"]
        ]

    def story(self, namespace: str) -> str:
        """What a person would look at when something is not ready."""
        looks = (
            ("get", "aiws", "-A", "-o", "wide"),
            ("get", "pods", "-A", "-o", "wide"),
            ("get", "events", "-n", namespace, "--sort-by=.lastTimestamp"),
            ("logs", "-n", SYSTEM, "-l", "app.kubernetes.io/component=manager", "--tail=20"),
            ("logs", "-n", SYSTEM, "-l", "app.kubernetes.io/component=api", "--tail=20"),
            ("logs", "-n", namespace, f"deploy/{namespace}-openwebui", "--tail=40"),
            ("logs", "-n", namespace, f"statefulset/{namespace}-ollama", "--tail=20"),
        )
        return "\n".join(
            f"$ kubectl {' '.join(look)}\n{ran.stdout}{ran.stderr}"
            for look in looks
            if (ran := self.try_kubectl(*look))
        )


def kustomize(folder: Path) -> str:
    """What `kustomize build` prints, by the tool that the local cluster brings."""
    tool = subprocess.run(
        [*LOCALCLUSTER, "tool", "kustomize"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    built = subprocess.run(
        [f"{tool}/kustomize", "build", str(folder)], check=True, capture_output=True, text=True
    )
    return built.stdout


@pytest.fixture(scope="session")
def node() -> Node:
    """The one that all workers share."""
    with recorded("the node to start"):
        status = machine.shared_node(IMAGE)
    return Node(
        status["name"],
        status["kubeconfig"],
        Path(status["audit_log"]),
        status["ingress_authority"],
    )


def credentials(node: Node, tenant: str) -> tuple[str, str]:
    data = node.kube.get("secret", f"{tenant}-credentials", "-n", SYSTEM)["data"]
    email, password = (
        base64.b64decode(data[key]).decode()
        for key in ("WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD")
    )
    return email, password


def holder(node: Node) -> str:
    """The leading process: its pod's name and what tells it from the pod's earlier ones; empty
    while there is none."""
    lease = node.kube.get("lease", "aichat-workspace-operator", "-n", SYSTEM)
    return lease["spec"].get("holderIdentity") or ""


def pod_of(identity: str) -> str:
    return identity.partition("_")[0]


def leader(node: Node) -> str:
    """The leading replica's pod; empty while there is none."""
    return pod_of(holder(node))


def another_leads(node: Node, first: str, seconds: float) -> None:
    """Wait until another process than the first holder leads, and say how long it took. It may be
    of the same pod, whose container is there again before the lease ends."""
    started = time.monotonic()
    eventually(
        lambda: holder(node) not in ("", first),
        "another process leads",
        seconds,
        lambda: node.story(SYSTEM),
    )
    print(f"handed over in {time.monotonic() - started:.1f} s")


def wait_ready(node: Node, resource: str, tenant: str) -> None:
    """Wait until the operator has seen what the resource asks for, and the workspace is ready."""
    eventually(
        lambda: is_seen(node, resource),
        f"{resource} to be seen",
        180,
        lambda: node.story(tenant),
    )
    try:
        node.kubectl(
            *("wait", f"aiws/{resource}", "-n", SYSTEM, "--for=condition=Ready"), "--timeout=170s"
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{node.story(tenant)}") from error


def is_seen(node: Node, resource: str) -> bool:
    document = node.kube.get("aiws", resource, "-n", SYSTEM)
    seen = document.get("status", {}).get("observedGeneration")
    return bool(seen == document["metadata"]["generation"])


@pytest.fixture(scope="session")
def workspaces(node: Node) -> None:
    """The sample, applied as the README says, and a second workspace beside it."""
    run.once("workspaces", lambda: _make_workspaces(node))


def _make_workspaces(node: Node) -> None:
    node.kubectl("-n", SYSTEM, "apply", "-f", "-", stdin=kustomize(ROOT / "config" / "samples"))
    make_workspace(node, SECOND, patterns=[])
    wait_ready(node, RESOURCE, TENANT)
    wait_ready(node, resource_of(SECOND), SECOND)


def resource_of(tenant: str) -> str:
    return f"aichatworkspace-{tenant.removesuffix('-aichat')}"


def make_workspace(node: Node, tenant: str, **spec: Any) -> None:
    """The sample under another name, with this changed."""
    sample = yaml.safe_load(kustomize(ROOT / "config" / "samples"))
    sample["metadata"]["name"] = resource_of(tenant)
    sample["spec"].update(workspaceName=tenant, **spec)
    node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(sample))


@pytest.fixture(scope="session")
def chat(node: Node, workspaces: None) -> WebUI:
    """Signed in through the ingress as the administrator that was made from the Secret."""
    assert workspaces is None
    return signed_in(node, TENANT)


def signed_in(node: Node, tenant: str) -> WebUI:
    webui = WebUI("http://127.0.0.1", f"{tenant}.{DOMAIN}")

    def answers() -> bool:
        try:
            return bool(webui.call("/health")["status"])
        except OSError:
            return False

    eventually(answers, "the ingress serves Open WebUI")
    webui.sign_in(*credentials(node, tenant))
    return webui


@pytest.fixture(scope="session")
def whole_node(request: pytest.FixtureRequest, node: Node, workspaces: None) -> None:
    """The node with the two workspaces and nothing else: every other group of tests has ended."""
    assert workspaces is None
    groups.await_others(request.session.items)
    known = {RESOURCE, resource_of(SECOND)}
    for resource in resources(node) - known:
        node.kube.delete("aiws", resource, SYSTEM)
    tenants = {TENANT, SECOND}
    eventually(lambda: resources(node) == known, "other workspaces to be gone", 180)
    eventually(lambda: tenants_of(node) == tenants, "their namespaces to be gone", 180)


def resources(node: Node) -> set[str]:
    return {item["metadata"]["name"] for item in node.kube.get("aiws", "-A")["items"]}


def tenants_of(node: Node) -> set[str]:
    namespaces = node.kube.get("namespace", "-l", "aichatworkspace")["items"]
    return {namespace["metadata"]["name"] for namespace in namespaces}
