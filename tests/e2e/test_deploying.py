"""`make deploy` on a real node: the release's own image, a real model in the smoke test."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e.conftest import IMAGE, ROOT, SYSTEM, Node
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
WORKS: Final = IMAGE.rpartition(":")[2]
ABSENT: Final = "v0.0.0-nowhere"
# Without this way the API starts, is ready, and reaches no model.
NO_WAY_TO_MODELS: Final = {
    "target": {"kind": "NetworkPolicy", "name": "aichat-workspace-api"},
    "patch": "- {op: remove, path: /spec/egress/2}",
}


@dataclass(frozen=True)
class Deployer:
    node: Node
    home: Path

    def choose(self, tag: str, *patches: dict[str, Any]) -> None:
        overlay = {
            "resources": ["../../local"],
            "images": [
                {
                    "name": "aichat-workspace-operator",
                    "newName": IMAGE.rpartition(":")[0],
                    "newTag": tag,
                }
            ],
            "patches": [*patches, self._api_server_port()],
        }
        file = self.home / "config" / "environments" / "e2e" / "kustomization.yaml"
        file.write_text(yaml.safe_dump(overlay))

    def _api_server_port(self) -> dict[str, Any]:
        """As hack/install lets it through."""
        slices = self.node.kube.get(
            *("endpointslices", "-n", "default", "-l", "kubernetes.io/service-name=kubernetes")
        )["items"]
        ports = [{"port": port["port"], "protocol": "TCP"} for port in slices[0]["ports"]]
        patch = yaml.safe_dump([{"op": "add", "path": "/spec/egress/-", "value": {"ports": ports}}])
        return {"target": {"kind": "NetworkPolicy"}, "patch": patch}

    def start(self, *variables: str) -> "subprocess.Popen[str]":
        folder = f"ENVIRONMENTS={self.home / 'config' / 'environments'}"
        return subprocess.Popen(
            ["make", "--no-print-directory", "deploy", "ENV=e2e", folder, *variables],
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": str(self.home / "kubeconfig")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def deploy(self, *variables: str) -> tuple[int, str]:
        process = self.start(*variables)
        output, _ = process.communicate(timeout=900)
        return process.returncode, output

    def tag(self) -> str:
        deployment = self.node.kube.get("deployment", "aichat-workspace-operator", "-n", SYSTEM)
        image: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        return image.rpartition(":")[2]

    def assert_nothing_remains_of_the_test(self) -> None:
        assert not self.node.kube.get("aiws", "-n", "aichat-smoke-tests")["items"]
        namespaces = self.node.kube.get("namespaces")["items"]
        names = [item["metadata"]["name"] for item in namespaces]
        assert not [name for name in names if name.startswith("aichat-smoke-test-")]


@pytest.fixture(scope="module")
def deployer(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Deployer:
    home = tmp_path_factory.mktemp("deployer")
    shutil.copytree(ROOT / "config", home / "config", ignore=shutil.ignore_patterns("mine"))
    folder = home / "config" / "environments" / "e2e"
    folder.mkdir()
    settings = {"context": "e2e", "model": "smollm2:135m"}
    (folder / "environment.yaml").write_text(
        yaml.safe_dump({**settings, "rolloutSeconds": 120, "smokeTestSeconds": 300})
    )
    config = yaml.safe_load(Path(node.kubeconfig).read_text())
    (context,) = config["contexts"]
    config |= {"contexts": [{**context, "name": "e2e"}], "current-context": "e2e"}
    (home / "kubeconfig").write_text(yaml.safe_dump(config))
    node.kubectl("label", "namespace", SYSTEM, "aichatworkspaces.io/environment=e2e", "--overwrite")
    return Deployer(node, home)


def test_a_release_that_works_is_tested_with_a_real_model(deployer: Deployer) -> None:
    deployer.choose(WORKS)
    code, output = deployer.deploy()
    assert code == 0, f"{output}\n{deployer.node.story(SYSTEM)}"
    assert "which has passed the smoke test" in output
    deployer.assert_nothing_remains_of_the_test()


def test_a_release_that_does_not_start_is_rolled_back(deployer: Deployer) -> None:
    deployer.choose(ABSENT)
    code, output = deployer.deploy()
    assert code == 2, output  # make's code for a recipe that has failed
    assert "Pull" in output, "the reason of the pods"
    assert "Runs now: " in output
    assert deployer.tag() == WORKS
    deployer.assert_nothing_remains_of_the_test()


def test_definitions_can_stay_as_they_are(deployer: Deployer) -> None:
    deployer.choose(WORKS)
    code, output = deployer.deploy("CRDS=keep")
    assert code == 0, output
    assert "CustomResourceDefinitions of" not in output, "they are not applied"


def test_a_release_that_starts_and_does_not_answer_is_rolled_back(deployer: Deployer) -> None:
    deployer.choose(WORKS, NO_WAY_TO_MODELS)
    code, output = deployer.deploy()
    assert code == 2, output
    assert "the smoke test has failed" in output
    assert "Runs now: " in output
    policy = deployer.node.kube.get("networkpolicy", "aichat-workspace-api", "-n", SYSTEM)
    assert any(port["port"] == 11434 for rule in policy["spec"]["egress"] for port in rule["ports"])
    deployer.assert_nothing_remains_of_the_test()


def test_a_deployment_that_is_interrupted_goes_on_with_the_next_one(deployer: Deployer) -> None:
    deployer.choose(ABSENT)
    process = deployer.start()
    eventually(lambda: deployer.tag() == ABSENT, "half of it is applied")
    os.killpg(process.pid, 15)
    process.communicate(timeout=60)
    deployer.choose(WORKS)
    code, output = deployer.deploy()
    assert code == 0, output
    assert "a run was interrupted" in output
    assert deployer.tag() == WORKS
    deployer.choose(ABSENT)
    process = deployer.start()
    eventually(lambda: deployer.tag() == ABSENT, "half of it is applied")
    os.killpg(process.pid, 15)
    process.communicate(timeout=60)
    code, output = deployer.deploy("BACK=yes")
    assert code == 0, output
    assert deployer.tag() == WORKS
    deployer.assert_nothing_remains_of_the_test()
