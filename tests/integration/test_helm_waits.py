"""What `helm install --wait` makes of a chart with a workspace in it.

Helm 4 reads a workspace's conditions. Helm 3 waits for Kubernetes' own kinds only.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.integration.conftest import ROOT, SYSTEM, Cluster, workspace
from tests.integration.tenants import condition
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")
SECONDS: Final = 100
"""How long Helm may wait. What can't become ready has to end it much sooner."""


@pytest.fixture(scope="module")
def helm() -> Path:
    command = [sys.executable, "-m", "localcluster", "tool", "helm"]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Path(ran.stdout.strip()) / "helm"


def install(
    helm: Path, cluster: Cluster, folder: Path, manifest: dict[str, Any]
) -> "subprocess.CompletedProcess[str]":
    """Install a chart that has only this."""
    chart = folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: chat, version: 0.1.0}")
    (chart / "templates" / "chat.yaml").write_text(yaml.safe_dump(manifest))
    where = ("--namespace", SYSTEM, "--kubeconfig", str(cluster.kubeconfig))
    return subprocess.run(
        [
            helm,
            "install",
            manifest["metadata"]["name"],
            chart,
            *where,
            "--wait",
            "--timeout",
            f"{SECONDS}s",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )


def test_helm_fails_at_once_where_a_workspace_cannot_become_ready(
    helm: Path, cluster: Cluster, tmp_path: Path
) -> None:
    cluster.apply(workspace("waited-for", suspended=True))
    eventually(lambda: condition(cluster, "waited-for").get("status") == "True", "it is there")
    ran = install(helm, cluster, tmp_path, workspace("waited-for", "second"))
    assert ran.returncode != 0, ran.stdout
    assert condition(cluster, "second", "Stalled")["status"] == "True"
    assert "deadline exceeded" not in ran.stdout, ran.stdout
    cluster.kubectl("delete", "aiws", "waited-for", "second", "-n", SYSTEM, "--wait=false")


def test_helm_ends_its_wait_where_a_workspace_is_as_its_spec_says(
    helm: Path, cluster: Cluster, tmp_path: Path
) -> None:
    """Suspended: no pod runs here. tests/e2e waits for one that answers."""
    ran = install(helm, cluster, tmp_path, workspace("as-said", suspended=True))
    assert ran.returncode == 0, ran.stdout
    assert condition(cluster, "as-said")["status"] == "True"
    cluster.kubectl("delete", "aiws", "as-said", "-n", SYSTEM, "--wait=false")
