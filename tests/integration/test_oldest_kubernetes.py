"""The oldest Kubernetes that the product supports: its API server and controllers, without nodes.

Other tests of this folder run there by LOCALCLUSTER_KUBERNETES=1.30.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    control_plane,
    operators_access,
    platform,
    start_operator,
    workspace,
)
from tests.integration.tenants import condition, settled
from tests.waiting import eventually

RELEASE: Final = "1.30"
NAME: Final = "on-the-oldest"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def oldest() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LOCALCLUSTER_KUBERNETES", RELEASE)
        with control_plane(f"oldest-{os.getpid()}") as cluster:
            yield cluster


def test_the_installation_works_from_the_first_workspace_to_its_end(
    oldest: Cluster, tmp_path: Path
) -> None:
    version = oldest.kubectl("version")
    assert f"Server Version: v{RELEASE}." in version
    process = start_operator(
        operators_access(oldest, tmp_path), tmp_path / "log", ENV="dev", PROBE_PORT="0"
    )
    try:
        oldest.apply(platform({"ingress": {"domain": "ai.example.org"}}))
        oldest.apply(workspace(NAME))
        eventually(lambda: condition(oldest, NAME).get("status") == "True", "it is provisioned")
        settled(oldest, NAME)
        objects = "deployment,statefulset,service,pvc,ingress,networkpolicy,resourcequota"
        assert len(oldest.names(objects, NAME)) > 8
        oldest.kubectl("scale", f"deployment/{NAME}-openwebui", "-n", NAME, "--replicas=3")
        eventually(lambda: _replicas(oldest) == 1, "a change by others is undone")

        refused = oldest.kubectl("delete", "namespace", SYSTEM, check=False)
        assert "would delete all workspaces" in refused
        elsewhere = workspace("elsewhere")
        elsewhere["metadata"]["namespace"] = "default"
        refused = oldest.apply(elsewhere, check=False)
        assert "the platform team has labelled" in refused

        oldest.kubectl("delete", "aiws", "--all", "-n", SYSTEM, "--timeout=60s")
        assert not oldest.kube.has("namespace", NAME)
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def _replicas(cluster: Cluster) -> int:
    return int(cluster.get("deployment", f"{NAME}-openwebui", "-n", NAME)["spec"]["replicas"])
