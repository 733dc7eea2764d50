"""A real node with the product installed as any user would install it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SYSTEM = "aichat-workspace-operator-system"
IMAGE = "docker.io/library/aichat-workspace-operator:v0.1.0"
DOMAIN = "aichat.localhost"


class Node:
    """kubectl against the node's cluster."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: int = 180) -> str:
        ran = subprocess.run(
            ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert ran.returncode == 0, f"kubectl {' '.join(arguments)}: {ran.stderr}"
        return ran.stdout

    def story(self, namespace: str) -> str:
        """What a person would look at when something is not ready."""
        return "\n".join(
            (
                self.kubectl("get", "aiws", "-A", "-o", "wide"),
                self.kubectl("get", "pods", "-A", "-o", "wide"),
                self.kubectl("get", "events", "-n", namespace, "--sort-by=.lastTimestamp"),
                self.kubectl("logs", "-n", SYSTEM, "deploy/aichat-workspace-operator", "--tail=20"),
            )
        )


def eventually(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not so: {what}"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    name = f"e2e-{os.getpid()}"
    run = [sys.executable, "-m", "localcluster"]
    subprocess.run([*run, "up", "--full", "--name", name], cwd=ROOT, check=True)
    try:
        subprocess.run([*run, "image", IMAGE, "--name", name], cwd=ROOT, check=True)
        told = subprocess.run(
            [*run, "status", "--name", name, "-o", "json"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        found = Node(yaml.safe_load(told.stdout)["kubeconfig"])
        found.kubectl("apply", "-k", str(ROOT / "config" / "default"))
        found.kubectl("apply", "-f", str(ROOT / "config" / "local" / "platform.yaml"))
        found.kubectl(
            *("rollout", "status", "deployment/aichat-workspace-operator", "-n", SYSTEM),
            "--timeout=60s",
        )
        yield found
    finally:
        subprocess.run([*run, "down", "--name", name], cwd=ROOT, check=True)
