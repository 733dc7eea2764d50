"""Other releases of Kubernetes, the oldest that the product supports among them: API server and
controllers, without nodes. Other tests of this folder run there by LOCALCLUSTER_KUBERNETES=1.30.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.build.binaries import OTHER_CONTROL_PLANES
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

NAME = "elsewhere"
OBJECTS = "deployment,statefulset,service,pvc,ingress,networkpolicy,resourcequota"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=OTHER_CONTROL_PLANES)
def other(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LOCALCLUSTER_KUBERNETES", request.param)
        with control_plane(f"other-{os.getpid()}") as cluster:
            assert f"Server Version: v{request.param}." in cluster.kubectl("version")
            yield cluster


def test_the_product_works_from_the_first_workspace_to_its_end(
    other: Cluster, tmp_path: Path
) -> None:
    process = start_operator(
        operators_access(other, tmp_path), tmp_path / "log", ENV="dev", PROBE_PORT="0"
    )
    try:
        _assert_a_workspace_is_made_and_repaired(other)
        _assert_policies_refuse(other)
        other.kubectl("delete", "aiws", "--all", "-n", SYSTEM, "--timeout=60s")
        assert not other.kube.has("namespace", NAME)
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def _assert_a_workspace_is_made_and_repaired(cluster: Cluster) -> None:
    def replicas() -> int:
        return int(cluster.get("deployment", f"{NAME}-openwebui", "-n", NAME)["spec"]["replicas"])

    cluster.apply(platform({"ingress": {"domain": "ai.example.org"}}))
    cluster.apply(workspace(NAME))
    eventually(lambda: condition(cluster, NAME).get("status") == "True", "it is provisioned")
    settled(cluster, NAME)
    assert (
        cluster.get("aiws", NAME, "-n", SYSTEM)["status"]["url"] == f"http://{NAME}.ai.example.org"
    )
    assert condition(cluster, NAME, "StoredAsApplied")["status"] == "True"
    assert len(cluster.names(OBJECTS, NAME)) > 8
    cluster.kubectl("scale", f"deployment/{NAME}-openwebui", "-n", NAME, "--replicas=3")
    eventually(lambda: replicas() == 1, "a change by others is undone")


def _assert_policies_refuse(cluster: Cluster) -> None:
    deletion = cluster.kubectl("delete", "namespace", SYSTEM, check=False)
    assert "would delete all workspaces" in deletion
    outside = workspace("outside")
    outside["metadata"]["namespace"] = "default"
    assert "the platform team has labelled" in cluster.apply(outside, check=False)
    taken_off = cluster.kubectl(
        *("patch", "aiws", NAME, "-n", SYSTEM, "--type=merge"),
        *("-p", '{"metadata": {"finalizers": null}}'),
        check=False,
    )
    assert "only the operator removes the finalizer" in taken_off
