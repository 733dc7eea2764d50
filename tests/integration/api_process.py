"""The API as a process of its own, as on a laptop."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from localcluster.ports import free_ports
from tests.integration.conftest import Cluster
from tests.waiting import eventually


@dataclass(frozen=True)
class ApiProcess:
    url: str
    probes: str
    log: Path

    def browser(self) -> httpx2.Client:
        """Something that keeps cookies, follows no redirects and goes through no proxy."""
        return httpx2.Client(base_url=self.url, timeout=30, trust_env=False)


@contextmanager
def running_api(cluster: Cluster, folder: Path, **environment: str) -> Iterator[ApiProcess]:
    """Start it with the cluster's kubeconfig and these variables, and wait until it is ready. Its
    log must hold no traceback in the end."""
    free, probe_port = free_ports(2)
    port = environment.get("API_PORT", str(free))
    url, probes = (f"http://127.0.0.1:{number}" for number in (port, probe_port))
    api = ApiProcess(url, probes, folder / "api.log")
    given = {"ENV": "dev", "KUBECONFIG": str(cluster.kubeconfig)}
    given |= {"API_PORT": port, "API_PROBE_PORT": str(probe_port)}
    with api.log.open("w") as out:
        process = subprocess.Popen(
            ["aichat-workspace-api"],
            env={**os.environ, **given, "PUBLIC_URL": api.url, **environment},
            stdout=out,
            stderr=out,
        )
    try:
        eventually(lambda: _ready(api), f"the API is ready, see {api.log}", seconds=120)
        yield api
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert "Traceback" not in api.log.read_text(), api.log.read_text()[-3000:]


def _ready(api: ApiProcess) -> bool:
    try:
        with api.browser() as browser:
            return browser.get(f"{api.probes}/readyz").status_code == 200
    except httpx2.TransportError:
        return False
