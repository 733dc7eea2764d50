"""`python -m deploy` on a real API server with a real controller manager, after test_install.py.

No pod runs: a stand-in makes those ready whose image works, and another one is aichatctl, whose
workspace gets ready unless the operator's image is one that does not answer. The last tests use the
real aichatctl, API and operator.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.api import running_api
from tests.examples import examples, run
from tests.integration.conftest import ROOT, SYSTEM, Cluster, operators_access, start_operator
from tests.integration.images import images
from tests.kube import Kube
from tests.waiting import eventually

PAGE: Final = ROOT / "docs" / "deploying.md"
TEAM: Final = "aichat-smoke-tests"
IMAGE: Final = "registry.example.org/platform/aichat-workspace-operator"
TIMES: Final = "rolloutSeconds: 20\nsmokeTestSeconds: 120\n"
WORKS, WORKS_TOO, BROKEN, MUTE = "v0.1.0", "v0.1.1", "v0.1.2-broken", "v0.1.3-mute"


@dataclass(frozen=True)
class Deployer:
    """Someone with a checkout of their own and a kubeconfig for the environments."""

    cluster: Cluster
    home: Path

    @property
    def environments(self) -> Path:
        return self.home / "config" / "environments"

    @property
    def variables(self) -> dict[str, str]:
        path = f"{self.home / 'stand-ins'}:{os.environ['PATH']}"
        return {**os.environ, "KUBECONFIG": str(self.home / "kubeconfig"), "PATH": path}

    def choose(self, tag: str, *resources: str, environment: str = "staging") -> None:
        """Name the release, with further resources, as in a commit."""
        release = self.environments / environment / "release" / "kustomization.yaml"
        component = yaml.safe_load(release.read_text())
        component["images"][0]["newTag"] = tag
        component["resources"] = [*resources]
        release.write_text(yaml.safe_dump(component))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "deploy", "to", "--folder", self.environments, *arguments],
            cwd=ROOT,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def deploy(self, *arguments: str, code: int = 0) -> str:
        """What it printed."""
        process = self.start(*(arguments or ("staging",)))
        output, _ = process.communicate(timeout=200)
        assert process.returncode == code, output
        return output

    def tags(self) -> set[str]:
        """More than one while a release is applied."""
        deployments = self.cluster.get("deployments", "-n", SYSTEM)["items"]
        return {image.rpartition(":")[2] for image in images(deployments)}

    def tag(self) -> str:
        (tag,) = self.tags()
        return tag


_AICHATCTL: Final = f"""\
#!/bin/sh
echo "$*" >>"$HOME_OF_TEST/calls"
case $1 in
  create)
    while [ -e "$HOME_OF_TEST/wait" ]; do sleep 0.1; done
    kubectl -n {SYSTEM} get deployment aichat-workspace-operator -o yaml | grep -q mute && exit 5
    exit 0 ;;
  prompt) echo Paris ;;
esac
"""


@pytest.fixture(scope="module")
def newcomer(bare_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    home = tmp_path_factory.mktemp("deployer")
    shutil.copytree(ROOT / "config", home / "config", ignore=shutil.ignore_patterns("mine"))
    for name in ("staging", "production"):
        file = home / "config" / "environments" / name / "environment.yaml"
        file.write_text(f"{file.read_text()}api: http://127.0.0.1:9\n{TIMES}")
    folder = home / "stand-ins"
    folder.mkdir()
    program = folder / "aichatctl"
    program.write_text(_AICHATCTL.replace("$HOME_OF_TEST", str(home)))
    program.chmod(0o755)
    config = yaml.safe_load(bare_cluster.kubeconfig.read_text())
    (context,) = config["contexts"]
    config["contexts"] = [{**context, "name": name} for name in ("staging", "production")]
    (home / "kubeconfig").write_text(yaml.safe_dump({**config, "current-context": "staging"}))
    with pods_start(bare_cluster):
        yield Deployer(bare_cluster, home)


@pytest.fixture(scope="module")
def deployer(newcomer: Deployer) -> Deployer:
    """With a cluster that is prepared."""
    if not newcomer.cluster.kube.has("namespace", SYSTEM):
        prepare(newcomer)
    return newcomer


@pytest.fixture
def running(deployer: Deployer) -> str:
    """The tag of a release that runs and works: the first, or what tests before have deployed."""
    if not deployer.cluster.names("deployments", SYSTEM):
        deployer.choose(WORKS)
        deployer.deploy()
    return deployer.tag()


def prepare(deployer: Deployer) -> None:
    """As the page says it."""
    documented = [example for example in examples(PAGE) if example.mark == "prepare"]
    run(documented, deployer.variables, ROOT, 60)


def other_than(tag: str) -> str:
    return WORKS_TOO if tag == WORKS else WORKS


@contextmanager
def pods_start(cluster: Cluster) -> Iterator[None]:
    """Make the pods of the operator and the API ready whose image works, as a node would."""
    ended, kube = threading.Event(), Kube(cluster.kubeconfig)
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}

    def look() -> None:
        while not ended.wait(0.3):
            for pod in kube.get("pods", "-n", SYSTEM)["items"]:
                if "broken" in pod["spec"]["containers"][0]["image"]:
                    continue
                if pod["status"].get("phase") != "Running":
                    _make_ready(kube, pod["metadata"]["name"], ready)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _make_ready(kube: Kube, name: str, status: dict[str, Any]) -> None:
    try:
        kube.patch("pod", name, SYSTEM, {"status": status}, "status")
    except AssertionError as error:
        if "(NotFound)" not in str(error):  # a rollout has removed it meanwhile
            raise


@pytest.mark.slow
def test_a_cluster_that_is_not_prepared_is_refused_and_the_page_prepares_it(
    newcomer: Deployer,
) -> None:
    assert "is not prepared for staging" in newcomer.deploy(code=2)
    prepare(newcomer)
    assert "is marked as staging, and ENV is production" in _as_production(newcomer)
    assert not newcomer.cluster.names("deployments", SYSTEM)


def _as_production(deployer: Deployer) -> str:
    """Deploy to production with production's context, which leads to staging's cluster."""
    use = ("kubectl", "config", "use-context")
    try:
        subprocess.run([*use, "production"], env=deployer.variables, check=True)
        return deployer.deploy("production", code=2)
    finally:
        subprocess.run([*use, "staging"], env=deployer.variables, check=True)


def test_a_release_that_works_runs_and_is_remembered(deployer: Deployer) -> None:
    deployer.choose(WORKS)
    output = deployer.deploy()
    assert f"staging runs {IMAGE}:{WORKS} (" in output
    assert deployer.tag() == WORKS
    calls = [line.split()[0] for line in (deployer.home / "calls").read_text().splitlines()]
    assert calls == ["list", "create", "prompt", "delete"]
    assert deployer.cluster.kube.has("secret", "aichat-workspace-deployments", SYSTEM)


@pytest.fixture
def only_here(deployer: Deployer) -> str:
    """A resource that the failing releases have, and those that work have not."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "only-here"}}
    manifest["metadata"] |= {"namespace": SYSTEM}  # type: ignore[operator]
    file = deployer.environments / "staging" / "release" / "only_here.yaml"
    file.write_text(yaml.safe_dump(manifest))
    return file.name


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        pytest.param(BROKEN, "1 of 2 pods are of this release", marks=pytest.mark.slow),
        (MUTE, "the smoke test has failed"),
    ],
    ids=["does not start", "does not answer"],
)
def test_the_release_before_comes_back_where_one_fails(
    deployer: Deployer, running: str, only_here: str, tag: str, reason: str
) -> None:
    deployer.choose(tag, only_here)
    output = deployer.deploy(code=1)
    assert f"{IMAGE}:{tag} (" in output
    assert reason in output
    assert f"Runs now: {IMAGE}:{running} (" in output
    assert deployer.tag() == running
    assert not deployer.cluster.kube.has("configmap", "only-here", SYSTEM)


def test_a_run_that_is_killed_in_the_middle_is_ended_by_the_next_one(
    deployer: Deployer, running: str, only_here: str
) -> None:
    deployer.choose(BROKEN, only_here)
    process = deployer.start("staging")
    eventually(lambda: BROKEN in deployer.tags(), "half of the release is applied")
    process.kill()
    process.communicate()
    deployer.choose(other_than(running))
    output = deployer.deploy()
    assert "has it; does it go on?" in output
    assert f"a run was interrupted while it deployed {IMAGE}:{BROKEN}" in output
    assert deployer.tag() == other_than(running)
    assert not deployer.cluster.kube.has("configmap", "only-here", SYSTEM)


@pytest.mark.slow
def test_the_way_back_after_an_interruption_is_to_what_has_passed(
    deployer: Deployer, running: str
) -> None:
    deployer.choose(MUTE)
    wait = deployer.home / "wait"
    wait.touch()
    process = deployer.start("staging")
    try:
        eventually(lambda: deployer.tags() == {MUTE}, "the release is applied")
        process.terminate()
        output, _ = process.communicate(timeout=60)
    finally:
        wait.unlink()
    assert process.returncode == 130, output
    assert "make deploy ENV=staging BACK=yes goes back" in output
    assert f"staging runs {IMAGE}:{running} (" in deployer.deploy("staging", "--back")
    assert deployer.tag() == running


@pytest.mark.slow
def test_of_two_runs_the_second_one_is_refused_and_the_first_one_goes_on(
    deployer: Deployer, running: str
) -> None:
    candidate = other_than(running)
    deployer.choose(candidate)
    wait = deployer.home / "wait"
    wait.touch()
    first = deployer.start("staging")
    try:
        eventually(lambda: deployer.tags() == {candidate}, "the first run has applied its release")
        assert "another run deploys to this cluster: " in deployer.deploy(code=2)
    finally:
        wait.unlink()
        output, _ = first.communicate(timeout=150)
    assert first.returncode == 0, output
    assert deployer.tag() == candidate


@pytest.mark.slow
def test_a_release_with_older_definitions_changes_nothing_unless_they_stay(
    deployer: Deployer, running: str
) -> None:
    file = "apps.aichatworkspaces.io_aichatworkspaces.yaml"
    path = deployer.home / "config" / "crd" / "bases" / file
    text = path.read_text()
    crd = yaml.safe_load(text)
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    del properties["spec"]["properties"]["expiry"]
    path.write_text(yaml.safe_dump(crd))
    deployer.choose(other_than(running))
    try:
        assert "lacks spec.expiry" in deployer.deploy(code=2)
        assert deployer.tag() == running
        deployer.deploy("staging", "--keep-crds")
    finally:
        path.write_text(text)
    assert deployer.tag() == other_than(running)
    stored = deployer.cluster.get("crd", "aichatworkspaces.apps.aichatworkspaces.io")
    assert "expiry:" in yaml.safe_dump(stored)


@pytest.mark.slow
@pytest.mark.usefixtures("running")
def test_the_real_test_may_do_all_it_does_and_leaves_nothing_where_no_pod_runs(
    deployer: Deployer, tmp_path: Path
) -> None:
    """Its workspace is created and never ready here; it is described and deleted."""
    token = deployer.cluster.kubectl(
        *("create", "token", "smoke-test", "-n", TEAM, "--audience=aichat-workspace-api")
    )
    kubeconfig = operators_access(deployer.cluster, tmp_path)
    operator = start_operator(kubeconfig, tmp_path / "log", ENV="dev", PROBE_PORT="0")
    try:
        with running_api(deployer.cluster.kubeconfig, tmp_path / "api.log") as address:
            variables = {
                "AICHAT_SERVER": address,
                "AICHAT_TOKEN": token.strip(),
                "AICHAT_CONFIG": str(tmp_path / "config.yaml"),
                "TIMEOUT": "5s",
            }
            ran = subprocess.run(
                [sys.executable, ROOT / "config" / "smoke-test" / "smoke_test.py", "smollm2:135m"],
                env={**os.environ, **variables},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert ran.returncode == 5, ran.stdout + ran.stderr
        assert "creating the workspace aichat-smoke-test-" in ran.stdout
        eventually(
            lambda: not deployer.cluster.get("aiws", "-n", TEAM)["items"], "it is deleted again"
        )
    finally:
        operator.terminate()
        operator.wait(timeout=60)


def test_no_command_of_the_pages_goes_unrun() -> None:
    """tests/e2e/test_deploying.py runs the others, with a folder and an environment of its own;
    test_skew.py runs `storage`."""
    pages = (PAGE, PAGE.parent / "versioning.md")
    marks = [example.mark for page in pages for example in examples(page)]
    assert sorted(marks) == ["back", "deploy", "keep", "prepare", "promote", "storage"]


@pytest.mark.slow
@pytest.mark.usefixtures("running")
def test_the_job_of_the_gate_is_as_the_api_server_takes_it(deployer: Deployer) -> None:
    """With the Pod Security that its namespace enforces."""
    folder = str(ROOT / "examples" / "gitops" / "staging")
    rendered = [*yaml.safe_load_all(deployer.cluster.kubectl("kustomize", folder))]
    gate = [item for item in rendered if item["kind"] in {"Job", "NetworkPolicy", "ConfigMap"}]
    assert {item["kind"] for item in gate} == {"Job", "NetworkPolicy", "ConfigMap"}
    output = deployer.cluster.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"),
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": gate}),
        check=False,
    )
    assert "job.batch/smoke-test serverside-applied (server dry run)" in output
    assert "would violate PodSecurity" not in output
    (job,) = (item for item in gate if item["kind"] == "Job")
    deployments = [item for item in rendered if item["kind"] == "Deployment"]
    assert images([job]) == images(deployments), "the release tests itself"
