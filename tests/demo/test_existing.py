"""`make demo CLUSTER=existing` as people run it: on a cluster that the demo did not make, with a
real buildah and a real registry that asks who comes. One test after the other, on one cluster."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from localcluster.build.images.base import ensure_base
from tests.demo import registry
from tests.demo.registry import ADDRESS, Registry
from tests.e2e.conftest import ANSWER, SYSTEM, TENANT
from tests.e2e.machine import LOCALCLUSTER, ROOT, STATES, remains

REPOSITORY: Final = "platform/aichat-workspace-operator"
BASE: Final = f"{ADDRESS}/upstream/base:1"
MARK: Final = "aichatworkspaces.io/made-by"
KINDS: Final = (
    "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings,persistentvolumes"
)
Ran = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Existing:
    """A cluster, the registry, and what was in the cluster before."""

    kubeconfig: Path
    registry: Registry
    before: set[str]

    def environment(self) -> dict[str, str]:
        own = f"{self.registry.folder / 'bin'}:{Path(sys.executable).parent}"
        environment = self.registry.environment()
        return {
            **environment,
            "PATH": f"{own}:{environment['PATH']}",
            "KUBECONFIG": str(self.kubeconfig),
            "CLUSTER": "existing",
            "IMAGE_REGISTRY": f"{ADDRESS}/platform",
            "BASE_IMAGE": BASE,
            "PULL_SECRET": str(self.registry.sign_in),
        }

    def run(self, *command: str, folder: Path = ROOT, **changed: str) -> Ran:
        ran = subprocess.run(
            command,
            cwd=folder,
            env={**self.environment(), **changed},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        print(f"$ {' '.join(command)}\n{ran.stdout}{ran.stderr}")
        return ran

    def kubectl(self, *arguments: str) -> str:
        ran = self.run("kubectl", *arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def images(self) -> set[str]:
        """Of what is rolled out; pods of before may still be ending."""
        image_path = "{.items[*].spec.template.spec.containers[*].image}"
        images = self.kubectl(
            "-n", SYSTEM, "get", "deployments", "-o", f"jsonpath={image_path}"
        ).split()
        assert len(images) == 2, "the operator and the API"
        return set(images)

    def pushed(self) -> set[str]:
        return {f"{ADDRESS}/{REPOSITORY}:{tag}" for tag in self.registry.tags(REPOSITORY)}


@pytest.fixture(scope="module")
def existing() -> Iterator[Existing]:
    name = f"e2e-{os.getpid()}"
    before = remains(name)
    # Not pytest's folder, which is kept: images are large.
    with TemporaryDirectory() as folder, registry.running(Path(folder)) as local_registry:
        _refuse_to_run(local_registry.folder / "bin", "docker", "podman")
        _push_base(local_registry)
        subprocess.run([*LOCALCLUSTER, "up", "--full", "--name", name], cwd=ROOT, check=True)
        try:
            kubeconfig = STATES / name / "kubeconfig"
            listed = Existing(kubeconfig, local_registry, set()).kubectl("get", KINDS, "-o", "name")
            yield Existing(kubeconfig, local_registry, set(listed.split()))
        finally:
            _forget_images(STATES / name / "node" / "containerd.sock")
            subprocess.run([*LOCALCLUSTER, "down", "--name", name], cwd=ROOT, check=True)
    assert remains(name) == before, "nothing is left on the machine"


def _forget_images(socket: Path) -> None:
    """What the node pulled from here: its store of images outlives it."""
    images = ["ctr", f"--address={socket}", "--namespace=k8s.io", "images"]
    listed = subprocess.run([*images, "list"], capture_output=True, text=True, check=False)
    named = [(name, digest) for name, _, digest, *_ in map(str.split, listed.stdout.splitlines())]
    pulled = {digest for name, digest in named if name.startswith(ADDRESS)}
    doomed = [name for name, digest in named if digest in pulled]
    subprocess.run([*images, "remove", *doomed], capture_output=True, check=False)


def _refuse_to_run(folder: Path, *programs: str) -> None:
    """So that the demo takes buildah, whatever this machine has."""
    folder.mkdir()
    for program in programs:
        (folder / program).write_text("#!/bin/sh\nexit 1\n")
        (folder / program).chmod(0o755)


def _push_base(local_registry: Registry) -> None:
    """No public registry can be reached here, so the image to build on is in this one."""
    base = ensure_base(lambda *_: None)
    local_registry.buildah("pull", "--quiet", f"oci-archive:{base.archive}")
    local_registry.buildah("push", "--quiet", base.name, BASE)
    local_registry.buildah("rmi", "--all")


def test_what_the_cluster_lacks_is_told_at_once_with_what_mends_it(existing: Existing) -> None:
    default = "storageclass.kubernetes.io/is-default-class"
    existing.kubectl("annotate", "storageclass", "--all", f"{default}-")
    existing.kubectl("create", "namespace", TENANT)
    ran = existing.run("hack/demo", IMAGE_REGISTRY="")
    existing.kubectl("delete", "namespace", TENANT)
    existing.kubectl("annotate", "storageclass", "--all", f"{default}=true")
    assert ran.returncode == 2
    for requirement in (
        "IMAGE_REGISTRY: ",
        "a default StorageClass: ",
        f"a free namespace {TENANT}: ",
    ):
        assert f"  - {requirement}" in ran.stderr
    assert existing.kubectl("get", "crd", "-o", "name") == ""


@pytest.fixture(scope="module")
def demo_output(existing: Existing) -> str:
    ran = existing.run("make", "demo")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_it_ends_with_what_a_model_said(demo_output: str) -> None:
    assert ANSWER in demo_output


def test_operator_and_api_run_the_image_that_was_pushed(
    existing: Existing, demo_output: str
) -> None:
    assert demo_output
    assert len(existing.images()) == 1
    assert existing.images() == existing.pushed()


def test_the_printed_api_commands_work(existing: Existing, demo_output: str) -> None:
    ran = _run_printed(existing, demo_output, "The API")
    assert f'"name":"{TENANT}"' in ran.stdout, ran.stderr


def test_both_printed_ways_in_work(existing: Existing, demo_output: str, tmp_path: Path) -> None:
    assert _opens_after_signing_in(existing, demo_output)
    config = str(tmp_path / "config.yaml")
    ran = _run_printed(existing, demo_output, "The command line", AICHAT_CONFIG=config)
    assert ran.returncode == 0, ran.stderr
    assert TENANT in ran.stdout
    assert "Paris" in ran.stdout


def _opens_after_signing_in(existing: Existing, output: str) -> bool:
    """Whether the console's list opens with the token and at the address that the demo has printed.
    The port-forward that it ends with is begun, and stopped after that."""
    *commands, forward = _printed(output, "The console")
    address = output.partition("\nThe console ")[2].partition(",")[0].strip()
    jar = existing.registry.folder / "cookies"
    curl = f"curl -sS --retry 10 --retry-connrefused -b {jar} -c {jar}"
    script = [
        "trap 'kill $(jobs -p)' EXIT",
        *commands[:-1],
        f"TOKEN=$({commands[-1].strip()})",
        f"{forward} &",
        f"{curl} -o /dev/null --data-urlencode token=$TOKEN -d next=/ {address}login",
        f"{curl} {address}",
    ]
    ran = existing.run("bash", "-euo", "pipefail", "-c", "\n".join(script))
    return f"/workspaces/{TENANT}" in ran.stdout


def _printed(output: str, title: str) -> list[str]:
    """Return the commands that the demo has printed below a title."""
    _, _, after = output.partition(f"\n{title} ")
    _, *lines = after.partition("\n\n")[0].splitlines()
    return [line for line in lines if line.startswith("  ")]


def _run_printed(existing: Existing, output: str, title: str, **environment: str) -> Ran:
    commands, end = _printed(output, title), "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"
    script = "\n".join([end, *commands])
    return existing.run("bash", "-euo", "pipefail", "-c", script, folder=ROOT, **environment)


def test_changed_code_runs_and_no_image_is_written_over(existing: Existing, tmp_path: Path) -> None:
    first = existing.images()
    ran = existing.run("hack/demo", folder=_changed(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert ANSWER in ran.stdout
    assert len(existing.pushed()) == 2
    assert existing.images() == existing.pushed() - first


def _changed(folder: Path) -> Path:
    """The work tree with another line in it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for path in listed.stdout.splitlines():
        if (ROOT / path).exists():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
    with (folder / "src" / "aichat_workspace" / "__init__.py").open("a") as file:
        file.write("# changed\n")
    return folder


def test_an_installation_that_is_not_its_own_is_neither_taken_over_nor_removed(
    existing: Existing,
) -> None:
    images = existing.images()
    existing.kubectl("annotate", "namespace", SYSTEM, f"{MARK}-")
    ran = [existing.run(program) for program in ("hack/demo", "hack/demo-down")]
    existing.kubectl("annotate", "namespace", SYSTEM, f"{MARK}=demo")
    assert [process.returncode for process in ran] == [2, 2]
    assert all(f"Namespace/{SYSTEM}" in process.stderr for process in ran)
    assert existing.images() == images


def test_demo_down_leaves_nothing_in_the_cluster(existing: Existing) -> None:
    (image,) = existing.images()
    ran = existing.run("make", "demo-down")
    assert ran.returncode == 0, ran.stderr
    assert f"stays in its registry, and where it was built: {image}" in ran.stdout
    listed = existing.kubectl("get", KINDS, "-o", "name")
    assert set(listed.split()) == existing.before
