"""docs/install.md on a bare control plane, from nothing to nothing, in the page's order."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.api import running_api
from tests.examples import Example, examples, run
from tests.integration.conftest import (
    ROOT,
    SYSTEM,
    Cluster,
    operators_access,
    platform,
    start_operator,
    wait_for_kinds,
)
from tests.integration.images import images, stand_ins
from tests.waiting import eventually, let_pass

PAGE: Final = ROOT / "docs" / "install.md"
IMAGE: Final = "registry.example.org/platform/aichat-workspace-operator"
API: Final = "https://workspaces.localtest.me"
TEAM: Final = "team-red"
USER: Final = f"system:serviceaccount:{TEAM}:ann"
CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----\nb3Vycw==\n-----END CERTIFICATE-----\n"
SAMPLE: Final = "aichatworkspace-team-a"
BY_API: Final = "team-b-aichat"
KINDS: Final = (
    "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings"
)
ELSEWHERE: Final = {"node", "forward"}
"""Marks of what needs pods: tests/e2e runs those."""
HELM: Final = {
    *("helm-namespace", "helm-values", "helm-install", "helm-test", "helm-upgrade"),
    *("helm-remove", "helm-remove-all"),
}
"""Marks of what test_chart.py runs."""


class Reader:
    """Someone who follows the page, in a checkout of their own."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self.cluster, self.home = cluster, home
        self.checkout = home / "checkout"
        shutil.copytree(
            ROOT / "config", self.checkout / "config", ignore=shutil.ignore_patterns("mine")
        )
        self.done: set[str] = set()
        self.before = self.listed()

    def follow(self, *marks: str, api: str = API) -> str:
        """Run the blocks that are marked so, and return what the last one printed."""
        documented = [
            replace(example, script=_ending(example, api))
            for example in examples(PAGE)
            if example.mark in marks
        ]
        self.done |= {example.mark for example in documented}
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "PATH": f"{self.home / 'stand-ins'}:{os.environ['PATH']}",
        }
        return run(documented, environment, self.checkout, 120)[-1]

    def install(self, *marks: str) -> None:
        self.follow("kustomization", *marks, "apply")
        wait_for_kinds(self.cluster)

    def listed(self) -> set[str]:
        return set(self.cluster.kubectl("get", KINDS, "-o", "name").split())

    @contextmanager
    def operator(self, log: str) -> Iterator["subprocess.Popen[bytes]"]:
        """The operator that is installed, as a process: no pod runs here."""
        folder = self.home / log
        folder.mkdir()
        kubeconfig = operators_access(self.cluster, folder)
        process = start_operator(kubeconfig, folder / "log", ENV="dev", PROBE_PORT="0")
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=20)


def _ending(example: Example, api: str) -> str:
    """A watch ends by itself after some seconds here."""
    if example.mark == "watch":
        return f"timeout 3 {example.script.strip()} || [ $? = 124 ]"
    return example.script.replace(API, api)


@pytest.fixture(scope="module")
def reader(bare_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(bare_cluster, tmp_path_factory.mktemp("home"))


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_image_is_built_and_pushed_and_installed_with_its_registrys_password(
    reader: Reader,
) -> None:
    programs = stand_ins(reader.home, "docker")
    sign_in = reader.home / ".docker" / "config.json"
    sign_in.parent.mkdir()
    sign_in.write_text('{"auths": {"registry.example.org": {"auth": "YTpi"}}}')
    before = _files(reader.checkout)

    reader.follow("image")
    reader.install("registry")

    deployments = reader.cluster.get("deployments", "-n", SYSTEM)["items"]
    assert len(deployments) == 2, "the operator and the API"
    (image,) = images(deployments)
    assert image.rpartition(":")[0] == IMAGE
    assert programs.calls() == [
        f"docker build -f Containerfile -t {image} .",
        f"docker push {image}",
    ]
    (secret,) = (
        name
        for deployment in deployments
        for name in [deployment["spec"]["template"]["spec"]["imagePullSecrets"][0]["name"]]
        if deployment["metadata"]["name"] == "aichat-workspace-operator"
    )
    kind = reader.cluster.get("secret", secret, "-n", SYSTEM)["type"]
    assert kind == "kubernetes.io/dockerconfigjson"
    assert before.items() <= _files(reader.checkout).items(), "no file of the project was changed"


def test_another_port_of_the_api_server_is_let_through(reader: Reader) -> None:
    _, _, patch = PAGE.read_text().partition("```yaml\n  - target: {kind: NetworkPolicy}\n")
    kustomization = reader.checkout / "config" / "mine" / "kustomization.yaml"
    changed = yaml.safe_load(kustomization.read_text())
    (added,) = yaml.safe_load(f"- target: {{kind: NetworkPolicy}}\n{_outdented(patch)}")
    changed["patches"].append(added)
    folder = reader.checkout / "config" / "other"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(changed))
    shutil.copy(kustomization.parent / ".dockerconfigjson", folder)
    rendered = yaml.safe_load_all(reader.cluster.kubectl("kustomize", str(folder)))
    policies = [manifest for manifest in rendered if manifest["kind"] == "NetworkPolicy"]
    assert len(policies) == 2
    for policy in policies:
        assert {"ports": [{"port": 8443, "protocol": "TCP"}]} in policy["spec"]["egress"]


def _outdented(patch: str) -> str:
    lines = patch.partition("```")[0].splitlines()
    return "\n".join(line[2:] for line in lines)


def _is_created(cluster: Cluster, name: str, namespace: str) -> bool:
    return bool(cluster.get("aiws", name, "-n", namespace).get("status", {}).get("isCreated"))


def test_from_the_first_workspace_to_an_empty_cluster(reader: Reader, tmp_path: Path) -> None:
    cluster = reader.cluster
    with reader.operator("first"):
        reader.follow("settings")
        eventually(lambda: _is_created(cluster, SAMPLE, SYSTEM), "the sample's objects are there")
        status = cluster.get("aiws", SAMPLE, "-n", SYSTEM)["status"]
        assert status["url"] == "http://team-a-aichat.ai.example.org"
        assert "http://team-a-aichat.ai.example.org" in reader.follow("watch")

        (reader.checkout / "corporate-ca.crt").write_text(CERTIFICATE)
        reader.follow("private-registry")
        eventually(
            lambda: _has_the_platforms_settings(cluster), "pods are as the platform needs them"
        )

        reader.follow("team")
        _assert_ann_runs_workspaces_and_reads_no_secret(cluster)
        with running_api(cluster.kubeconfig, tmp_path / "log") as address:
            assert f'"name":"{BY_API}","team":"{TEAM}"' in reader.follow("api", api=address)
        eventually(lambda: _is_created(cluster, BY_API, TEAM), "the second one's, too")

        before = cluster.get("namespace", "team-a-aichat")["metadata"]["uid"]
        printed = reader.follow("upgrade")
        (image,) = images(cluster.get("deployments", "-n", SYSTEM)["items"])
        assert image == f"{IMAGE}:v0.1.1"
        assert {line.split()[0] for line in printed.split("\n")[1:] if line} == {SAMPLE, BY_API}
        assert cluster.get("namespace", "team-a-aichat")["metadata"]["uid"] == before

        reader.follow("remove")
    remaining = reader.listed() - reader.before
    assert remaining == {f"namespace/{TEAM}"}, "which the reader made"
    cluster.kubectl("delete", "namespace", TEAM, "--timeout=60s")


def _has_the_platforms_settings(cluster: Cluster) -> bool:
    template = cluster.get("statefulset", "team-a-aichat-ollama", "-n", "team-a-aichat")["spec"]
    pod = template["template"]["spec"]
    (container,) = pod["containers"]
    variables = {entry["name"] for entry in container["env"]}
    return (
        container["image"].startswith("mirror.example.org/upstream/")
        and "imagePullSecrets" in pod
        and {"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR"} <= variables
    )


def _assert_ann_runs_workspaces_and_reads_no_secret(cluster: Cluster) -> None:
    def may(verb: str, resource: str, namespace: str = TEAM) -> bool:
        command = ("auth", "can-i", verb, resource, "-n", namespace, f"--as={USER}")
        return cluster.kubectl(*command, check=False).startswith("yes")

    assert may("create", "aichatworkspaces")
    assert may("create", "aichatworkspaces/prompt")
    assert may("get", "aichatworkspaces/credentials")
    assert not may("get", "secrets")
    assert not may("create", "aichatworkspaces", SYSTEM)


def test_a_removal_that_begins_with_the_operator_deletes_no_workspace(reader: Reader) -> None:
    cluster = reader.cluster
    reader.install()
    with reader.operator("second"):
        reader.follow("settings")
        eventually(lambda: _is_created(cluster, SAMPLE, SYSTEM), "the sample's objects are there")
        folder = str(reader.checkout / "config" / "mine")
        output = cluster.kubectl("delete", "-k", folder, check=False)
    assert output.count("would delete all workspaces with their data") == 2
    assert not cluster.names("deployments", SYSTEM), "the operator and the API are gone"
    resource = cluster.get("aiws", SAMPLE, "-n", SYSTEM)
    assert "deletionTimestamp" not in resource["metadata"]
    assert cluster.get("namespace", "team-a-aichat")["status"]["phase"] == "Active"

    reader.follow("again")
    wait_for_kinds(cluster)
    with reader.operator("third"):
        cluster.kube.patch("aiws", SAMPLE, SYSTEM, {"spec": {"suspended": True}})
        eventually(lambda: _status(cluster).get("phase") == "Suspended", "the operator goes on")
        status = _status(cluster)
        assert status["url"] == "http://team-a-aichat.ai.example.org", "by the last settings"


def test_workspaces_that_no_operator_ends_are_saved_or_deleted(reader: Reader) -> None:
    cluster = reader.cluster
    name = "team-a-aichat"
    uid = cluster.get("namespace", name)["metadata"]["uid"]
    claims = _claims(cluster, name)
    _remove_on_purpose(reader)
    assert cluster.names("aiws", SYSTEM), "its finalizer keeps it"
    reader.follow("stuck", "reinstall")
    with reader.operator("fourth"):
        eventually(lambda: _reason(cluster) == "NamespaceTaken", "it is left alone")
        reader.follow("adopt")
        eventually(lambda: _is_created(cluster, SAMPLE, SYSTEM), "it has its namespace back")
        assert cluster.get("namespace", name)["metadata"]["uid"] == uid
        assert _claims(cluster, name) == claims, "with all data"

        cluster.apply(platform({}))
        reader.follow("protect")
        let_pass(2, "the switch reaches the operator")
        cluster.kubectl("delete", "aiws", SAMPLE, "-n", SYSTEM, "--timeout=60s")
        assert cluster.get("namespace", name)["status"]["phase"] == "Active", "it is retained"
    _remove_on_purpose(reader)
    reader.follow("wipe")
    eventually(lambda: reader.listed() == reader.before, "nothing is left", 120)


def _claims(cluster: Cluster, namespace: str) -> set[str]:
    claims = cluster.get("pvc", "-n", namespace)["items"]
    assert claims
    return {claim["metadata"]["uid"] for claim in claims}


def _remove_on_purpose(reader: Reader) -> None:
    mark = "apps.aichatworkspaces.io/remove=confirmed"
    crd = "crd/aichatworkspaces.apps.aichatworkspaces.io"
    reader.cluster.kubectl("annotate", f"namespace/{SYSTEM}", crd, mark, "--overwrite")
    folder = str(reader.checkout / "config" / "mine")
    reader.cluster.kubectl("delete", "-k", folder, "--wait=false")


def _status(cluster: Cluster) -> Any:
    return cluster.get("aiws", SAMPLE, "-n", SYSTEM).get("status", {})


def _reason(cluster: Cluster) -> object:
    conditions = _status(cluster).get("conditions", [])
    return next((entry["reason"] for entry in conditions if entry["type"] == "Ready"), None)


def test_no_command_of_the_page_goes_unrun(reader: Reader) -> None:
    assert {example.mark for example in examples(PAGE)} == reader.done | ELSEWHERE | HELM
