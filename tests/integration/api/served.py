"""The API as a process, and people who call it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import httpx2
import yaml

from localcluster.ports import free_port
from tests.integration.conftest import SYSTEM, Cluster
from tests.waiting import eventually

AUDIENCE: Final = "aichat-workspace-api"
API: Final = "aichat-workspace-api"
PEOPLE: Final = "api-people"
TEAMS: Final = ("api-team-1", "api-team-2")
GROUP: Final = "apps.aichatworkspaces.io"
_TOKEN_BEGINS: Final = "eyJ"


@dataclass
class Served:
    """One API process. It can be killed and started again on the same port."""

    kubeconfig: Path
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    probe_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, ready: bool = True) -> Self:
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "ENV": "dev"}
        ports = {"API_PORT": str(self.port), "API_PROBE_PORT": str(self.probe_port)}
        environment |= {**ports, **self.settings}
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                ["aichat-workspace-api"], env=environment, stdout=out, stderr=out
            )
        if ready:
            eventually(self.is_ready, f"the API serves, see {self.log}", seconds=90)
        return self

    def is_ready(self) -> bool:
        """Raises AssertionError for a process that has ended."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            probe = httpx2.get(f"http://127.0.0.1:{self.probe_port}/readyz", timeout=5)
        except httpx2.TransportError:
            return False
        return probe.is_success

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=5)

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0, self.log.read_text()[-2000:]
        log = self.log.read_text()
        assert "Traceback" not in log, log[-4000:]
        assert _TOKEN_BEGINS not in log, "a token is in the log"

    def resident_bytes(self) -> int:
        assert self.process is not None
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def client(self, token: str | None = None, **headers: str) -> httpx2.Client:
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.Client(base_url=self.url, headers={**sent, **headers}, timeout=30)


@contextmanager
def serving(kubeconfig: Path, folder: Path, **settings: str) -> Iterator[Served]:
    served = Served(kubeconfig, folder / f"api-{time.monotonic_ns()}.log", settings).start()
    try:
        yield served
    finally:
        served.stop()


def api_account(cluster: Cluster, folder: Path) -> Path:
    """Access as the API's own service account, with nothing but its permissions."""
    return kubeconfig_of(cluster, token(cluster, API, SYSTEM), folder / "api-kubeconfig")


def kubeconfig_of(cluster: Cluster, bearer: str, path: Path) -> Path:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": bearer}
    path.write_text(yaml.safe_dump(config))
    return path


def token(cluster: Cluster, account: str, namespace: str = PEOPLE, audience: str = "") -> str:
    """A token of a service account, for the API server or for another audience."""
    options = [f"--audience={audience}"] if audience else []
    token = cluster.kubectl("create", "token", account, "-n", namespace, "--duration=2h", *options)
    return token.strip()


@dataclass(frozen=True)
class Person:
    """A caller: a service account with a token for the API."""

    name: str
    token: str

    @property
    def username(self) -> str:
        return f"system:serviceaccount:{PEOPLE}:{self.name}"


def person(cluster: Cluster, name: str, grants: Iterable[dict[str, Any]] = ()) -> Person:
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": PEOPLE},
    }
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([account, *grants]))
    return Person(name, token(cluster, name, audience=AUDIENCE))


def grant(name: str, role: str, team: str | None = None) -> dict[str, Any]:
    """A ClusterRole for a person: in one team, or everywhere."""
    metadata = {"name": f"{name}-{role}"} | ({"namespace": team} if team else {})
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding" if team else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": role,
        },
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": PEOPLE}],
    }


def role(name: str, *rules: dict[str, list[str]]) -> dict[str, Any]:
    """A ClusterRole on workspaces."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{"apiGroups": [GROUP], **rule} for rule in rules],
    }


def make_teams(cluster: Cluster) -> None:
    for namespace in (*TEAMS, PEOPLE):
        labels = {} if namespace == PEOPLE else {"aichatworkspaces.io/team": "true"}
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": namespace, "labels": labels},
            }
        )


def clear_workspaces(cluster: Cluster) -> None:
    """Without an operator: a finalizer that one has left is taken out."""
    for team in (*TEAMS, SYSTEM):
        for resource in cluster.get("aiws", "-n", team)["items"]:
            if not resource["metadata"].get("finalizers"):
                continue
            glass = ("--as=breaker", "--as-group=aichatworkspaces:break-glass")
            free = ("-p", '{"metadata":{"finalizers":null}}', "--type=merge", *glass)
            cluster.kubectl("patch", "aiws", resource["metadata"]["name"], "-n", team, *free)
        cluster.kubectl("delete", "aiws", "--all", "-n", team, "--timeout=30s")
