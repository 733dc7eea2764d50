"""A real API server with the product's own configuration applied."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SYSTEM = "aichat-workspace-operator-system"
OPERATOR = "aichat-workspace-operator"
OPERATOR_USER = f"system:serviceaccount:{SYSTEM}:{OPERATOR}"


@dataclass(frozen=True)
class Cluster:
    """A control plane, and kubectl against it."""

    kubeconfig: Path
    audit_log: Path
    authentication_config: Path

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl printed; its errors too where `check` is off."""
        ran = subprocess.run(
            ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and ran.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {ran.stderr}")
        return ran.stdout + (ran.stderr if not check else "")

    def apply(self, document: object, *, check: bool = True) -> str:
        return self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document), check=check)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", "-o", "json", *arguments))

    def names(self, kinds: str, namespace: str) -> list[str]:
        listed = self.kubectl("get", kinds, "-n", namespace, "-o", "name")
        return sorted(listed.split())

    def writes(self) -> int:
        """How often the operator has written, by the API server's audit log."""
        reads = ("get", "list", "watch")
        return sum(entry["verb"] not in reads for entry in self._of_operator())

    def requests(self, about: str) -> list[str]:
        """What the operator asked for whose address names a workspace or its resource."""
        name = re.compile(rf"[/=]{about}\b")
        return [
            f"{entry['verb']} {entry['requestURI']}"
            for entry in self._of_operator()
            if name.search(entry["requestURI"])
        ]

    def _of_operator(self) -> Iterator[Any]:
        for line in self.audit_log.read_text().splitlines():
            entry = json.loads(line)
            if entry["user"]["username"] == OPERATOR_USER:
                yield entry


def eventually(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until something is so; fail saying what was not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not so: {what}"
        time.sleep(0.1)


def workspace(name: str, resource: str | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatWorkspace",
        "metadata": {"name": resource or name, "namespace": SYSTEM},
        "spec": {"workspaceName": name, **spec},
    }


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with control_plane(f"integration-{os.getpid()}") as found:
        yield found


@contextmanager
def control_plane(name: str) -> Iterator[Cluster]:
    """A control plane with everything of config/default."""
    run = [sys.executable, "-m", "localcluster"]
    subprocess.run([*run, "up", "--name", name], cwd=ROOT, check=True)
    try:
        told = subprocess.run(
            [*run, "status", "--name", name, "-o", "json"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        status = json.loads(told.stdout)
        found = Cluster(
            *(Path(status[each]) for each in ("kubeconfig", "audit_log", "authentication_config"))
        )
        found.kubectl("apply", "-k", str(ROOT / "config" / "default"))
        yield found
    finally:
        subprocess.run([*run, "down", "--name", name], cwd=ROOT, check=True)


@pytest.fixture(scope="session")
def operator_kubeconfig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return operators_access(cluster, tmp_path_factory.mktemp("operator"))


def operators_access(cluster: Cluster, folder: Path) -> Path:
    """Access as the operator's own service account, with nothing but its permissions."""
    token = cluster.kubectl("create", "token", OPERATOR, "-n", SYSTEM, "--duration=2h").strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def start_operator(
    kubeconfig: Path,
    log: Path,
    command: Sequence[str] = ("aichat-workspace-operator",),
    **environment: str,
) -> "subprocess.Popen[bytes]":
    """The operator as a process that has started; it adds to its log."""

    def starts() -> int:
        return log.read_text().count('"started"') if log.exists() else 0

    before = starts()
    with log.open("a") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, "KUBECONFIG": str(kubeconfig), **environment},
            stderr=out,
        )
    eventually(lambda: starts() > before, f"operator started, see {log}")
    return process


@pytest.fixture(scope="module")
def metrics_port() -> int:
    """Where the operator of this module serves its metrics."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def operator(
    operator_kubeconfig: Path, metrics_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The operator running as on a laptop, but with its service account's permissions. Gives its
    log, which must hold no traceback in the end."""
    log = tmp_path_factory.mktemp("operator") / "log"
    process = start_operator(operator_kubeconfig, log, ENV="dev", PROBE_PORT=str(metrics_port))
    yield log
    process.terminate()
    assert process.wait(timeout=5) == 0, log.read_text()[-2000:]
    assert "Traceback" not in log.read_text()
