"""The chart's own test, and Helm's wait for a workspace, on a real node with a real model.

The operator is that of config/local, whose objects are the chart's: tests/integration compares
them.
"""

import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e.conftest import IMAGE, LOCALCLUSTER, ROOT, SYSTEM, Node, signed_in
from tests.e2e.workspace import answers, condition

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
CHART: Final = ROOT / "charts" / "aichat-workspace-operator"
TEAM: Final = "aichat-smoke-tests"
WAITED: Final = "waited-aichat"
MODEL: Final = "smollm2:135m"


@pytest.fixture(scope="module")
def helm() -> Path:
    command = [*LOCALCLUSTER, "tool", "helm"]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Path(ran.stdout.strip()) / "helm"


@pytest.fixture(scope="module")
def hooks(helm: Path) -> list[dict[str, Any]]:
    """What `helm test` makes, in its order."""
    repository, _, tag = IMAGE.rpartition(":")
    image = ("--set", f"image.repository={repository},image.tag={tag}")
    command: list[str | Path] = [helm, "template", "any", CHART, "--namespace", SYSTEM, *image]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    rendered = [manifest for manifest in yaml.safe_load_all(ran.stdout) if manifest]
    tests = [
        manifest
        for manifest in rendered
        if (manifest["metadata"].get("annotations") or {}).get("helm.sh/hook") == "test"
    ]
    return sorted(
        tests, key=lambda item: int(item["metadata"]["annotations"]["helm.sh/hook-weight"])
    )


def test_the_charts_test_creates_a_workspace_asks_its_model_and_deletes_it(
    node: Node, hooks: list[dict[str, Any]]
) -> None:
    try:
        for manifest in hooks:
            node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(manifest))
        node.kubectl(
            *("wait", "job/smoke-test", "-n", SYSTEM, "--for=condition=Complete"),
            "--timeout=600s",
            seconds=620,
        )
        log = node.kubectl("logs", "job/smoke-test", "-n", SYSTEM)
        assert "the smoke test has passed" in log
        assert "Paris" in log
        assert not node.kube.get("aiws", "-n", TEAM)["items"]
    finally:
        for manifest in reversed(hooks):
            node.try_kubectl(
                "delete", "--ignore-not-found", "-f", "-", stdin=yaml.safe_dump(manifest)
            )


def test_helm_ends_its_wait_when_the_chat_answers(node: Node, helm: Path, tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: chat, version: 0.1.0}")
    workspace = {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatWorkspace",
        "metadata": {"name": WAITED, "namespace": SYSTEM},
        "spec": {"workspaceName": WAITED, "models": [MODEL], "embeddingModel": "none"},
    }
    (chart / "templates" / "chat.yaml").write_text(yaml.safe_dump(workspace))
    where = ("--namespace", SYSTEM, "--kubeconfig", node.kubeconfig)
    try:
        ran = subprocess.run(
            [helm, "install", "waited", chart, *where, "--wait", "--timeout", "10m"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=620,
            check=False,
        )
        assert ran.returncode == 0, f"{ran.stdout}\n{node.story(WAITED)}"
        assert condition(node, WAITED, "Ready")["status"] == "True"
        assert answers(signed_in(node, WAITED), MODEL), "at once"
    finally:
        subprocess.run([helm, "uninstall", "waited", *where, "--wait"], check=True, timeout=300)
