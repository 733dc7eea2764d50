"""The README's commands on a cluster, as far as an API server shows them."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.examples import examples, run
from tests.integration.conftest import ROOT, SYSTEM, Cluster
from tests.integration.images import images, stand_ins
from tests.integration.tenants import listed
from tests.waiting import eventually

PAGE = ROOT / "README.md"
TEAM = "team-support"


def blocks(language: str) -> list[str]:
    """The contents of the README's fences of a language."""
    _, *rest = PAGE.read_text().split(f"```{language}\n")
    return [part.partition("```")[0] for part in rest]


@pytest.mark.usefixtures("no_samples")
def test_the_three_commands_bring_a_workspace_up(cluster: Cluster, tmp_path: Path) -> None:
    """docker and kind are stand-ins that write down what they are asked for."""
    documented = [example for example in examples(PAGE) if example.mark != "demo"]
    assert [example.mark for example in documented] == ["image", "install", "sample"]
    programs = stand_ins(tmp_path, "docker", "kind")
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{programs.folder}:{os.environ['PATH']}",
    }
    run(documented, environment, ROOT, 60)
    (image,) = images(cluster.get("deployments", "-n", SYSTEM)["items"])
    assert programs.calls() == [
        f"docker build -f Containerfile -t {image} .",
        f"kind load docker-image {image}",
    ]

    def is_created() -> bool:
        sample = cluster.get("aiws", "aichatworkspace-team-a", "-n", SYSTEM)
        return bool(sample.get("status", {}).get("isCreated"))

    eventually(is_created, "the sample's objects are there")
    cluster.kubectl("delete", "-k", str(ROOT / "config" / "samples"), "--wait=false")


@pytest.mark.usefixtures("operator")
def test_the_first_manifest_has_the_documented_objects(cluster: Cluster) -> None:
    (manifest,) = map(yaml.safe_load, blocks("yaml"))
    labels = {"aichatworkspaces.io/team": "true"}
    team = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM, "labels": labels}}
    cluster.apply(team)
    cluster.apply(manifest)

    def status() -> Any:
        return cluster.get("aiws", "support", "-n", TEAM).get("status", {})

    eventually(lambda: status().get("isCreated"), "its objects are there")
    namespace = status()["namespace"]["name"]
    kinds = Counter(manifest["kind"] for manifest in listed(cluster, namespace))
    assert f"`{namespace}` with {kinds.total()} objects:" in PAGE.read_text()
    assert kinds["NetworkPolicy"] == 3
    cluster.kubectl("delete", "namespace", TEAM, "--wait=false")


def test_make_knows_the_demo() -> None:
    (demo,) = (example.script for example in examples(PAGE) if example.mark == "demo")
    assert demo == "make demo\n"
    assert "\ndemo: " in (ROOT / "Makefile").read_text()
