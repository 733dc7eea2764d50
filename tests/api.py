"""The API as a process, somebody who may use it, and the client that is generated for it."""

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from localcluster.ports import free_ports
from tests import run

GROUP: Final = "rbac.authorization.k8s.io"
SYSTEM: Final = "aichat-workspace-operator-system"
ROOT: Final = Path(__file__).parents[1]
_START_SECONDS: Final = 90


def made_client() -> Path:
    """Where `make client` has written the generated client, once for all tests of a run."""
    make = ("make", "client")
    run.once("client", lambda: subprocess.run(make, cwd=ROOT, check=True).returncode)
    return ROOT / "build" / "client"


def create_and_ask(
    client: Path, environment: Mapping[str, str], *arguments: str, seconds: float
) -> "subprocess.CompletedProcess[str]":
    """Run the example of the generated client."""
    program = ROOT / "build" / "generator" / "bin" / "python"
    return subprocess.run(
        [str(program), str(ROOT / "examples" / "create_and_ask.py"), *arguments],
        env={**environment, "PYTHONPATH": str(client)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@contextmanager
def running_api(kubeconfig: Path, log: Path) -> Iterator[str]:
    """Gives its address. Its log must hold no traceback in the end."""
    port, probe_port = free_ports(2)
    environment = {"ENV": "dev", "KUBECONFIG": str(kubeconfig)}
    environment |= {"API_PORT": str(port), "API_PROBE_PORT": str(probe_port)}
    with log.open("w") as out:
        process = subprocess.Popen(
            ["aichat-workspace-api"], env={**os.environ, **environment}, stderr=out
        )
    try:
        _wait_ready(f"http://127.0.0.1:{probe_port}/readyz", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        code = process.wait(timeout=60)  # it ends its requests first; a machine may be busy
    assert code == 0, log.read_text()[-2000:]
    assert "Traceback" not in log.read_text()


def person(name: str) -> list[dict[str, Any]]:
    """A service account that may do everything with the system namespace's workspaces."""
    kinds = ["aichatworkspaces", *(f"aichatworkspaces/{part}" for part in _PARTS)]
    rules = [{"apiGroups": ["apps.aichatworkspaces.io"], "resources": kinds, "verbs": ["*"]}]
    metadata = {"name": name, "namespace": SYSTEM}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}],
        },
    ]


def team(name: str, administrator: str) -> list[dict[str, Any]]:
    """A team's namespace, and that account as its administrator."""
    labels = {"aichatworkspaces.io/team": "true"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": administrator, "namespace": name},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "admin"},
            "subjects": [{"kind": "ServiceAccount", "name": administrator, "namespace": SYSTEM}],
        },
    ]


_PARTS: Final = ("log", "prompt", "credentials")


def token_request(name: str) -> tuple[str, ...]:
    """kubectl's arguments for a token of that account."""
    return ("create", "token", name, "-n", SYSTEM, "--audience=aichat-workspace-api")


def _wait_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the API is not ready: {log.read_text()[-2000:]}")
