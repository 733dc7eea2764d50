"""The README's steps on a cluster, as far as an API server shows them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api import running_api
from tests.examples import examples, run
from tests.integration.conftest import ROOT, SYSTEM, Cluster
from tests.waiting import eventually

IMAGE = "registry.example.org/platform/aichat-workspace-operator"
API = "https://workspaces.localtest.me"
TEAM = "team-red"
USER = f"system:serviceaccount:{TEAM}:ann"
MADE = "team-b-aichat"


def follow(cluster: Cluster, folder: Path, *marks: str, api: str = API) -> str:
    """Run the README's blocks that are marked so; gives what the last one printed."""
    chosen = [
        replace(each, script=each.script.replace(API, api))
        for each in examples(ROOT / "README.md")
        if each.mark in marks
    ]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    return run(chosen, environment, folder, 60)[-1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the steps use of the project, to be changed by them."""
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("mine"))
    return tmp_path


def files(folder: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.usefixtures("operator")
def test_the_steps_install_ones_own_image_and_make_a_workspace_under_ones_own_domain(
    cluster: Cluster, checkout: Path
) -> None:
    before = files(checkout)
    follow(cluster, checkout, "install")
    assert before.items() <= files(checkout).items(), "nothing that is the project's was changed"

    rendered = yaml.safe_load_all(cluster.kubectl("kustomize", str(checkout / "config" / "mine")))
    deployments = [each for each in rendered if each["kind"] == "Deployment"]
    applied = cluster.get("deployments", "-n", SYSTEM)["items"]
    for found in (deployments, applied):
        assert len(found) == 2
        assert {image.rpartition(":")[0] for each in found for image in images(each)} == {IMAGE}

    def url() -> str:
        found: Any = cluster.get("aiws", "aichatworkspace-team-a", "-n", SYSTEM)
        return str(found.get("status", {}).get("url"))

    eventually(lambda: url() == "http://team-a-aichat.ai.example.org", "the URL is in the domain")
    cluster.kubectl("delete", "aiws", "aichatworkspace-team-a", "-n", SYSTEM, "--wait=false")
    cluster.kubectl("delete", "aichatplatform", "default")
    cluster.kubectl("apply", "-k", str(ROOT / "config" / "default"))


def images(deployment: Any) -> list[str]:
    return [each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]]


def test_the_steps_make_a_user_of_the_api_who_runs_his_teams_workspaces_and_reads_no_secret(
    cluster: Cluster, tmp_path: Path
) -> None:
    follow(cluster, tmp_path, "team")

    def may(verb: str, what: str, namespace: str = TEAM) -> bool:
        asked = ("auth", "can-i", verb, what, "-n", namespace, f"--as={USER}")
        return cluster.kubectl(*asked, check=False).startswith("yes")

    assert may("create", "aichatworkspaces")
    assert may("create", "aichatworkspaces/prompt")
    assert may("get", "aichatworkspaces/credentials")
    assert not may("get", "secrets")
    assert not may("create", "aichatworkspaces", SYSTEM)
    with running_api(cluster.kubeconfig, tmp_path / "log") as address:
        said = follow(cluster, tmp_path, "api", api=address)
    assert f'"name":"{MADE}","team":"{TEAM}"' in said
    assert cluster.get("aiws", MADE, "-n", TEAM)["spec"]["models"] == ["gemma2:2b"]
    cluster.kubectl("delete", "aiws", MADE, "-n", TEAM, "--wait=false")
    cluster.kubectl("delete", "namespace", TEAM, "--timeout=60s")
