"""What the scripts do where a cluster or a build is not as they hope, with programs of our own."""

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
OURS: Final = """\
Namespace aichat-workspace-operator-system demo
CustomResourceDefinition aichatworkspaces.apps.aichatworkspaces.io demo
"""
NOT_OURS: Final = OURS.replace("system demo", "system <none>")


class Kubectl:
    """A kubectl that prints what it was told to for a command that begins so, fails where it was
    told to, and writes down what it is called with."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._cases = folder, ""
        self.answers("config current-context", "somewhere")
        self.answers("get --ignore-not-found --no-headers", OURS)

    def answers(self, begin: str, output: str) -> None:
        self._cases = f"  '{begin}'*) printf '%s\\n' '{output}' ;;\n{self._cases}"

    def fails(self, begin: str) -> None:
        self._cases = f"  '{begin}'*) echo 'it went wrong' >&2; exit 1 ;;\n{self._cases}"

    def run(
        self, script: str, *arguments: str, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        program = self._folder / "kubectl"
        log = self._folder / "log"
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$*" >>{log}\ncase "$*" in\n{self._cases}esac\n'
        )
        program.chmod(0o755)
        path = f"{self._folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            [ROOT / "hack" / script, *arguments],
            env={**os.environ, "PATH": path, "CLUSTER": "existing", **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def calls(self) -> list[str]:
        return (self._folder / "log").read_text().splitlines()

    def deleted(self) -> list[str]:
        return [line for line in self.calls() if "delete" in line.split()]


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    return Kubectl(tmp_path)


def test_no_script_has_the_name_of_a_module_of_python() -> None:
    """Python looks for modules beside the script first, so that script would be all of them."""
    scripts = [
        file
        for folder in ("benchmarks", "config", "hack", "tests")
        for file in (ROOT / folder).rglob("*.py")
        if '__name__ == "__main__"' in file.read_text()
    ]
    assert scripts
    assert [file for file in scripts if file.stem in sys.stdlib_module_names] == []


def test_demo_down_removes_workspace_user_and_operator_and_says_where(kubectl: Kubectl) -> None:
    ran = kubectl.run("demo-down")
    assert ran.returncode == 0, ran.stderr
    assert "in the cluster somewhere" in ran.stdout
    named, sample, user, everything = kubectl.deleted()
    assert named.endswith("-f examples/smollm2.yaml")
    assert sample.endswith("-k config/samples")
    assert "serviceaccount/demo" in user
    assert everything.endswith("-k config/default")


def test_demo_down_confirms_that_it_removes_what_holds_all_workspaces(kubectl: Kubectl) -> None:
    kubectl.answers("get --ignore-not-found -o name", "it/is-there")
    ran = kubectl.run("demo-down")
    assert ran.returncode == 0, ran.stderr
    calls = kubectl.calls()
    confirmed = [line.split()[2:] for line in calls if line.startswith("annotate --overwrite")]
    mark = "apps.aichatworkspaces.io/remove=confirmed"
    assert confirmed == [
        ["namespace/aichat-workspace-operator-system", mark],
        ["crd/aichatworkspaces.apps.aichatworkspaces.io", mark],
    ]
    assert calls[-1].endswith("-k config/default")


@pytest.mark.parametrize(
    "look", ["config", "get --ignore-not-found --no-headers", "get aiws", "-n", "get"]
)
def test_demo_down_never_removes_the_operator_where_a_look_at_the_cluster_fails(
    kubectl: Kubectl, look: str
) -> None:
    kubectl.fails(look)
    ran = kubectl.run("demo-down")
    assert ran.returncode != 0
    assert not [line for line in kubectl.deleted() if "config/default" in line]


def test_demo_down_leaves_the_operator_to_others_workspaces(kubectl: Kubectl) -> None:
    kubectl.answers("get aiws -A", "aichatworkspace.apps.aichatworkspaces.io/theirs")
    ran = kubectl.run("demo-down")
    assert ran.returncode == 1
    assert ran.stderr.endswith("/theirs\n")
    assert not [line for line in kubectl.deleted() if "config/default" in line]


def test_demo_down_says_what_to_do_where_a_workspace_does_not_go(kubectl: Kubectl) -> None:
    kubectl.fails("-n aichat-workspace-operator-system delete --ignore-not-found --timeout")
    ran = kubectl.run("demo-down")
    assert ran.returncode == 2
    assert "finalizer" in ran.stderr
    assert len(kubectl.deleted()) == 1


def test_demo_down_removes_nothing_that_the_demo_did_not_make(kubectl: Kubectl) -> None:
    kubectl.answers("get --ignore-not-found --no-headers", NOT_OURS)
    ran = kubectl.run("demo-down")
    assert ran.returncode == 2
    assert "Namespace/aichat-workspace-operator-system" in ran.stderr
    assert not kubectl.deleted()


@pytest.mark.parametrize("script", ["demo", "demo-down"])
def test_another_kind_of_cluster_is_refused(kubectl: Kubectl, script: str) -> None:
    ran = kubectl.run(script, CLUSTER="exisiting")
    assert ran.returncode == 2
    assert ran.stderr.startswith("CLUSTER is 'exisiting': ")


def test_demo_says_at_once_what_is_wrong_with_the_cluster(kubectl: Kubectl) -> None:
    kubectl.answers("get --raw /version", '{"gitVersion": "v1.29.4"}')
    kubectl.answers("get --ignore-not-found --no-headers", NOT_OURS)
    ran = kubectl.run("demo")
    assert ran.returncode == 2
    for requirement in (
        "IMAGE_REGISTRY",
        "Kubernetes 1.30",
        "a default StorageClass",
        "without the oper",
    ):
        assert requirement in ran.stderr


def test_demo_does_not_begin_without_the_rights_it_needs(kubectl: Kubectl) -> None:
    kubectl.answers("get --raw /version", '{"gitVersion": "v1.30.0"}')
    kubectl.fails("auth can-i")
    ran = kubectl.run("demo", IMAGE_REGISTRY="registry.example.org/platform")
    assert ran.returncode == 2
    assert "rights in somewhere" in ran.stderr


class Laptop:
    """A machine with a builder and the program of its cluster, which write down how they are
    called. The builder's image has the digest sha256:0123456789abcdef0123."""

    def __init__(self, folder: Path, kubectl: Kubectl, context: str, provider: str = "") -> None:
        self._folder, self._kubectl = folder, kubectl
        kubectl.answers("config current-context", context)
        kubectl.answers("config view --minify", provider)
        kubectl.answers("get --raw /version", '{"gitVersion": "v1.30.0"}')
        kubectl.answers("get storageclasses", "true")
        kubectl.answers("-n default get endpointslices", "")  # hack/install ends here
        for builder in ("docker", "podman", "buildah"):
            self.has(builder, "exit 1")

    def has(self, program: str, commands: str = "") -> None:
        path = self._folder / program
        path.write_text(f'#!/bin/sh\necho "{program} $*" >>{self._folder}/calls\n{commands}\n')
        path.chmod(0o755)

    def builds_by(self, builder: str) -> None:
        digest = "printf 'sha256:0123456789abcdef0123' >"
        self.has(
            builder, f'while [ $# -gt 0 ]; do [ "$1" != --iidfile ] || {digest}"$2"; shift; done'
        )

    def demo(self, **environment: str) -> str:
        """What the demo says where it goes no further."""
        return self._kubectl.run("demo", **environment).stderr

    def calls(self) -> list[str]:
        """The calls from the image's name on, with its archive as ARCHIVE."""
        lines = (self._folder / "calls").read_text().splitlines()
        (begin,) = (place for place, line in enumerate(lines) if " tag " in line)
        return [re.sub(r"/\S+/image\.tar", "ARCHIVE", line) for line in lines[begin:]]


IMAGE: Final = "docker.io/library/aichat-workspace-operator:demo-0123456789ab"


@pytest.mark.parametrize(
    ("context", "provider", "program", "load"),
    [
        ("kind-kind", "", "kind", "load image-archive ARCHIVE --name kind"),
        ("kind-my-team", "", "kind", "load image-archive ARCHIVE --name my-team"),
        ("k3d-dev", "", "k3d", "image import ARCHIVE --cluster dev"),
        (
            *("minikube", "minikube.sigs.k8s.io", "minikube"),
            "image load ARCHIVE --profile minikube",
        ),
        ("work", "minikube.sigs.k8s.io", "minikube", "image load ARCHIVE --profile work"),
    ],
)
def test_a_laptops_cluster_gets_the_image_by_its_own_command(
    kubectl: Kubectl, tmp_path: Path, context: str, provider: str, program: str, load: str
) -> None:
    """As the programs' own pages have the commands; none of them runs here."""
    laptop = Laptop(tmp_path, kubectl, context, provider)
    laptop.builds_by("docker")
    laptop.has(program)
    assert "has no endpoints" in laptop.demo(), "the demo has gone on to install"
    assert laptop.calls() == [
        f"docker tag 0123456789abcdef0123 {IMAGE}",
        f"docker save --output ARCHIVE {IMAGE}",
        f"{program} {load}",
    ]


@pytest.mark.parametrize(
    ("builder", "save"),
    [
        ("podman", f"save --quiet --format docker-archive --output ARCHIVE {IMAGE}"),
        ("buildah", f"push --quiet {IMAGE} docker-archive:ARCHIVE:{IMAGE}"),
    ],
)
def test_an_image_of_any_builder_reaches_a_laptops_cluster(
    kubectl: Kubectl, tmp_path: Path, builder: str, save: str
) -> None:
    laptop = Laptop(tmp_path, kubectl, "kind-kind")
    laptop.builds_by(builder)
    laptop.has("kind")
    laptop.demo()
    _, written, _ = laptop.calls()
    assert written == f"{builder} {save}"


def test_a_registry_that_is_named_is_the_way_to_a_laptops_cluster_too(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    laptop = Laptop(tmp_path, kubectl, "kind-kind")
    laptop.builds_by("docker")
    laptop.has("kind")
    laptop.demo(IMAGE_REGISTRY="localhost:5000")
    image = f"localhost:5000/{IMAGE.partition('library/')[2]}"
    assert laptop.calls() == [f"docker tag 0123456789abcdef0123 {image}", f"docker push {image}"]


def test_a_laptops_cluster_without_its_program_is_told_before_the_build(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    laptop = Laptop(tmp_path, kubectl, "k3d-dev")
    laptop.builds_by("docker")
    assert "- k3d, which gives the image to the nodes of k3d-dev: install it" in laptop.demo()


def test_install_says_what_pods_wait_for_where_they_do_not_start(kubectl: Kubectl) -> None:
    kubectl.answers("-n default get endpointslices", "6443")
    kubectl.answers("get deployment", '{"metadata": {"generation": 1}, "spec": {}, "status": {}}')
    waiting = '{"waiting": {"reason": "ImagePullBackOff", "message": "who are you"}}'
    status = f'{{"containerStatuses": [{{"state": {waiting}}}]}}'
    kubectl.answers(
        "get pods", f'{{"items": [{{"metadata": {{"name": "a"}}, "status": {status}}}]}}'
    )
    kubectl.answers("get events", '{"items": [{"reason": "Failed to pull image"}]}')
    ran = kubectl.run(
        *("install", "config/default", "registry.example.org/operator:demo-1", "1"),
        ROLLOUT_SECONDS="1",
    )
    assert ran.returncode == 2
    assert "ImagePullBackOff who are you" in ran.stderr
    assert "Failed to pull image" in ran.stderr
    assert "PULL_SECRET" in ran.stderr


def test_install_names_the_log_of_what_does_not_run_only(kubectl: Kubectl) -> None:
    kubectl.answers("-n default get endpointslices", "6443")
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}
    for name, available in (("operator", 1), ("api", 0)):
        deployment = {
            "metadata": {"generation": 1},
            "spec": {},
            "status": {**status, "availableReplicas": available},
        }
        kubectl.answers(f"get deployment aichat-workspace-{name}", json.dumps(deployment))
    kubectl.answers("get pods", '{"items": []}')
    kubectl.answers("get events", '{"items": []}')
    ran = kubectl.run(
        *("install", "config/default", "registry.example.org/operator:demo-1", "1"),
        ROLLOUT_SECONDS="1",
    )
    assert ran.returncode == 2
    assert re.findall(r"logs deployment/(\S+)", ran.stderr) == ["aichat-workspace-api"]


@pytest.mark.parametrize("url", ["https://workspaces.example.test", ""])
def test_the_demo_prints_both_ways_in_as_commands_that_a_shell_understands(url: str) -> None:
    """Tests on a cluster run them; here they only have to be whole."""
    names = "system=the-system api=the-api named=the-chat AUTHORITY=/ca KUBECONFIG=/kube"
    script = f". hack/demo-ways-in; {names}; ways_in '{url}'"
    ran = subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    console, _, command_line = ran.stdout.partition("\nThe command line ")
    assert console.startswith(f"The console   {url or 'http://localhost:8090'}/, in a browser")
    for part, expected in (
        (console, "kubectl -n the-system create token demo --audience the-api"),
        (command_line, "aichatctl login"),
        (command_line, "aichatctl prompt the-chat"),
    ):
        commands = [line for line in part.splitlines()[1:] if line.startswith("  ")]
        assert any(expected in line for line in commands)
        subprocess.run(["bash", "-n"], input="\n".join(commands), text=True, check=True)
    assert ("--ca-file /ca" in command_line) is bool(url)
    assert ("port-forward" in console) is (not url)


def test_audit_reads_all_our_python() -> None:
    lines = (ROOT / "hack" / "audit").read_text().replace("\\\n", "").splitlines()
    (bandit,) = (line for line in lines if "/bandit" in line)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {*project["tool"]["importlinter"]["root_packages"]}
    expected = packages - {"aichat_workspace"} | {"src", "hack", "config/smoke-test"}
    assert {*bandit.partition("--recursive")[2].split()} == expected


class Programs:
    """`python`, `make` and `pytest` that only write down how they are called, unless told more."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._cases = folder, ""
        self.log = folder / "log"

    def does(self, call: str, commands: str) -> None:
        self._cases += f"  '{call}') {commands} ;;\n"

    def run(self, script: str) -> "subprocess.CompletedProcess[str]":
        for name in ("python", "make", "pytest"):
            program = self._folder / name
            program.write_text(
                f'#!/bin/sh\ncd {self._folder}\ncall="{name} $*"\necho "$call" >>log\n'
                f'case "$call" in\n{self._cases}esac\n'
            )
            program.chmod(0o755)
        return subprocess.run(
            [ROOT / "hack" / script],
            env={
                **os.environ,
                "PATH": f"{self._folder}:{os.environ['PATH']}",
                "LOCALCLUSTER_STATE": str(self._folder / "state"),
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


PROGRAMS_BUILD: Final = "python -m localcluster build"
IMAGES_BUILD: Final = "python -m localcluster build --full"
GROUPED: Final = "--dist loadgroup --no-loadscope-reorder"
ON_CLUSTERS: Final = f"pytest tests/e2e tests/integration -m not slow -n 5 {GROUPED}"


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def test_tests_on_clusters_wait_for_builds(programs: Programs) -> None:
    programs.does(PROGRAMS_BUILD, "sleep 1; echo 'programs made' >>log; nice >>log; touch built")
    programs.does(
        IMAGES_BUILD, "while [ ! -e built ]; do sleep 0.1; done; sleep 1; echo 'images made' >>log"
    )
    ran = programs.run("test")
    assert ran.returncode == 0, ran.stdout
    expected = ["programs made", "19", "images made", ON_CLUSTERS]
    lines = programs.log.read_text().splitlines()
    assert [line for line in lines if line in expected] == expected


def test_the_targets_of_parts_run_what_the_whole_runs() -> None:
    run = r'pytest ([\w/ ]+) -m "not slow" -n \d'
    (whole,) = re.findall(run, (ROOT / "hack" / "test").read_text())
    parts = re.findall(run, (ROOT / "Makefile").read_text())
    assert sorted(parts) == sorted(whole.split())


@pytest.mark.parametrize("build", [PROGRAMS_BUILD, IMAGES_BUILD])
def test_a_build_that_fails_is_told_with_its_whole_log(programs: Programs, build: str) -> None:
    programs.does(build, "echo 'no space left'; sleep 2; echo failed >&2; exit 4")
    ran = programs.run("test")
    assert ran.returncode == 1
    assert ran.stdout.endswith("no space left\nfailed\n")
    assert ON_CLUSTERS not in programs.log.read_text()


class Chat(BaseHTTPRequestHandler):
    """An ingress that does not know the chat at first, and a chat that says one word."""

    statuses: ClassVar[list[int]] = []
    replies: Final = {
        "/api/v1/auths/signin": '{"token": "t"}',
        "/api/chat/completions": 'data: {"choices": [{"delta": {"content": "Paris"}}]}\n',
    }

    def do_POST(self) -> None:
        status = self.statuses.pop(0) if self.statuses else 200
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(self.replies[self.path].encode() if status == 200 else b"not found")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def chat() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("statuses", "code", "message"),
    [([404, 404], 0, "small:1: Paris"), ([401], 1, "/api/v1/auths/signin: 401 not found")],
)
def test_a_question_waits_for_its_route_and_for_nothing_else(
    chat: str, statuses: list[int], code: int, message: str
) -> None:
    Chat.statuses[:] = statuses
    ran = subprocess.run(
        [sys.executable, ROOT / "hack" / "ask", chat, "small:1", "The capital of France?"],
        env={**os.environ, "EMAIL": "a@example.org", "PASSWORD": "p"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == code
    assert message in ran.stdout + ran.stderr
