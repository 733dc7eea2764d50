"""A real node with the product installed as any user would install it."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from aichat_workspace.domain import names
from tests.e2e.webui import WebUI
from tests.waiting import eventually, recorded

ROOT = Path(__file__).parents[2]
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
REPLY = "Hello from your private workspace."
STATES = Path(os.environ.get("LOCALCLUSTER_STATE") or "/var/lib/localcluster")
LOCALCLUSTER = (sys.executable, "-m", "localcluster")


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

    def requests(self, username: str) -> list[Any]:
        """Every request of a user that was answered, as the audit log has it."""
        with self.audit_log.open("rb") as log:
            # Most lines are about somebody else, and the last one may be half written.
            lines = (line for line in log if username.encode() in line and line.endswith(b"\n"))
            entries = map(json.loads, lines)
            return [entry for entry in entries if entry["user"]["username"] == username]

    def operator_requests(self) -> list[str]:
        """Every request of the operator that was answered; watches, its lease and the probe of its
        confinement, every ten minutes, are left out."""
        return [
            f"{entry['verb']} {entry['requestURI']}"
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


def remains(name: str) -> dict[str, list[str]]:
    """What this node could leave on the machine; other clusters may run beside it."""
    folder = f"{STATES / name}/"
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/mounts").read_text()
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    processes = [
        command
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if folder in (command := _command(path))
    ]
    return {
        "network devices": [
            line.split(": ")[1]
            for line in links.splitlines()
            if line.split(": ")[1].startswith(("localcluster", "veth"))
        ],
        "mounts": [line for line in mounts.splitlines() if folder in line or "/netns/cni-" in line],
        "notes of networks": [
            path.name for path in Path("/var/lib/cni/results").glob("localcluster-*")
        ],
        "packet filter tables": [
            line for line in tables.stdout.splitlines() if "localcluster" in line
        ],
        "chains": [line for line in rules.splitlines() if line.startswith((":KUBE-", ":CNI-"))],
        "processes": processes,
        "kernel settings": [*settings()],
    }


def settings() -> Iterator[str]:
    """What programs that run nodes are known to set, and what is near it. Bridges pass packets to
    the filter unless told otherwise, so that loading their module changes nothing."""
    root = Path("/proc/sys")
    for pattern in (
        *("net/ipv4/ip_forward", "net/ipv4/conf/all/*", "net/ipv4/conf/default/*"),
        *("kernel/keys/*", "kernel/panic*", "vm/overcommit_*", "vm/panic_*"),
    ):
        for each in sorted(root.glob(pattern)):
            with suppress(OSError):  # some can only be written
                yield f"{each.relative_to(root)} = {each.read_text().strip()}"
    bridged = root / "net/bridge/bridge-nf-call-iptables"
    yield f"bridged = {bridged.read_text().strip() if bridged.exists() else 1}"


def _command(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""  # it has ended meanwhile


def _end_abandoned() -> None:
    """A test run that was killed may have left its node."""
    for each in STATES.glob("e2e-*"):
        if not Path("/proc", each.name.removeprefix("e2e-")).exists():
            subprocess.run([*LOCALCLUSTER, "down", "--name", each.name], cwd=ROOT, check=True)


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    name = f"e2e-{os.getpid()}"
    _end_abandoned()
    before = remains(name)
    with recorded("the node to start"):
        subprocess.run([*LOCALCLUSTER, "up", "--full", "--name", name], cwd=ROOT, check=True)
    try:
        subprocess.run([*LOCALCLUSTER, "image", IMAGE, "--name", name], cwd=ROOT, check=True)
        told = subprocess.run(
            [*LOCALCLUSTER, "status", "--name", name, "-o", "json"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        status = json.loads(told.stdout)
        found = Node(
            name, status["kubeconfig"], Path(status["audit_log"]), status["ingress_authority"]
        )
        subprocess.run(
            ["hack/install", "config/local", IMAGE, "of the tests"],
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": found.kubeconfig},
            check=True,
        )
        found.kubectl("apply", "-f", str(ROOT / "config" / "local" / "platform.yaml"))
        yield found
    finally:
        subprocess.run([*LOCALCLUSTER, "down", "--name", name], cwd=ROOT, check=True)
    assert remains(name) == before, "the local cluster leaves nothing on the machine"


def credentials(node: Node, tenant: str) -> tuple[str, str]:
    found = json.loads(
        node.kubectl("get", "secret", f"{tenant}-credentials", "-n", SYSTEM, "-o", "json")
    )["data"]
    email, password = (
        base64.b64decode(found[key]).decode()
        for key in ("WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD")
    )
    return email, password


def leader(node: Node) -> str:
    """The leading replica's pod; empty while there is none."""
    look = ("get", "lease", "aichat-workspace-operator", "-n", SYSTEM, "-o", "json")
    holder: str = json.loads(node.kubectl(*look))["spec"].get("holderIdentity") or ""
    return holder.partition("_")[0]


def another_leads(node: Node, first: str, seconds: float) -> None:
    """Wait until another replica than the first leads, and say how long it took."""
    started = time.monotonic()
    eventually(
        lambda: leader(node) not in ("", first),
        "another replica leads",
        seconds,
        lambda: node.story(SYSTEM),
    )
    print(f"handed over in {time.monotonic() - started:.1f} s")


def wait_ready(node: Node, resource: str, tenant: str) -> None:
    try:
        node.kubectl(
            *("wait", f"aiws/{resource}", "-n", SYSTEM, "--for=condition=Ready"), "--timeout=170s"
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{node.story(tenant)}") from error


@pytest.fixture(scope="session")
def workspaces(node: Node) -> None:
    """The sample, applied as the README says, and a second workspace beside it."""
    documents = kustomize(ROOT / "config" / "samples")
    node.kubectl("-n", SYSTEM, "apply", "-f", "-", stdin=documents)
    second = yaml.safe_load(documents)
    second["metadata"]["name"] = "aichatworkspace-team-b"
    second["spec"].update(workspaceName=SECOND, patterns=[])
    node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(second))
    wait_ready(node, RESOURCE, TENANT)
    wait_ready(node, "aichatworkspace-team-b", SECOND)


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
