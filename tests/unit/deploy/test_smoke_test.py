import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import yaml

from aichat_workspace.domain import names
from deploy import smoke_test
from deploy.errors import DeploymentFailedError, LockLostError, RefusedError
from localcluster.processes import foreground
from localcluster.progress import silent
from tests.unit.deploy.cluster import ENVIRONMENT, FakeKubectl

ROOT: Final = Path(__file__).parents[3]
SCRIPT: Final = ROOT / "config" / "smoke-test" / "smoke_test.py"
PUBLIC: Final = replace(ENVIRONMENT, api="https://workspaces.example.org")
CALLS: Final = ("list", "create", "prompt", "delete")
WORKSPACES: Final = f"aichatworkspaces.{names.GROUP}"
NAME: Final = "aichat-smoke-test-0a1b2c3d"


class Aichatctl:
    """A stand-in that notes its calls, fails where it should, and replies."""

    def __init__(
        self, folder: Path, reply: str = "Paris", remaining: str = "", **codes: int
    ) -> None:
        cases = "".join(f"{call}) exit {code} ;;\n" for call, code in codes.items())
        self.log = folder / "calls"
        (folder / "aichatctl").write_text(
            f'#!/bin/sh\necho "$* $AICHAT_TOKEN" >>{self.log}\n'
            f'case "$1" in\n{cases}list) printf "%s" "{remaining}" ;;\n'
            f'prompt) printf "%s" "{reply}" ;;\nesac\n'
        )
        (folder / "aichatctl").chmod(0o755)
        self.folder = folder

    def run(self, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, SCRIPT, "small:1"],
            env={"PATH": str(self.folder), "AICHAT_TOKEN": "t", **variables},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def calls(self) -> list[str]:
        return [line.split()[0] for line in self.log.read_text().splitlines()]


def test_the_script_creates_asks_and_deletes_in_a_team_of_its_own(tmp_path: Path) -> None:
    aichatctl = Aichatctl(tmp_path, delete=3)
    ran = aichatctl.run()
    assert ran.returncode == 0, ran.stderr
    assert tuple(aichatctl.calls()) == CALLS
    lines = aichatctl.log.read_text().splitlines()
    assert all(f" --team {smoke_test.TEAM} " in line for line in lines)
    assert "it replies: Paris" in ran.stdout


def test_each_run_has_a_workspace_of_a_name_that_no_one_can_take_before(tmp_path: Path) -> None:
    aichatctl = Aichatctl(tmp_path)
    for _ in range(2):
        assert aichatctl.run().returncode == 0
    lines = [line.split() for line in aichatctl.log.read_text().splitlines()]
    used = [line[1] for line in lines if line[0] != "list"]
    assert len(used) == 6
    assert len(set(used)) == 2
    for name in used:
        assert re.fullmatch(names.WORKSPACE_NAME_PATTERN, name)
        assert len(name) <= names.WORKSPACE_NAME_MAX_LENGTH


def test_the_script_first_removes_all_that_interrupted_runs_have_left(tmp_path: Path) -> None:
    aichatctl = Aichatctl(tmp_path, remaining="aichat-smoke-test-1\naichat-smoke-test-2\n")
    assert aichatctl.run().returncode == 0
    calls = [line.split()[:2] for line in aichatctl.log.read_text().splitlines()]
    assert calls[1:3] == [["delete", "aichat-smoke-test-1"], ["delete", "aichat-smoke-test-2"]]
    assert calls[3][0] == "create"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_script_that_is_interrupted_deletes_its_workspace(
    tmp_path: Path, number: signal.Signals
) -> None:
    sleeps = shutil.which("sleep")
    aichatctl = Aichatctl(tmp_path)
    began = tmp_path / "began"
    os.mkfifo(began)
    (tmp_path / "aichatctl").write_text(
        f'#!/bin/sh\necho "$*" >>{aichatctl.log}\n'
        f'[ "$1" != create ] || {{ echo >{began}; exec {sleeps} 60; }}\n'
    )
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "small:1"],
        env={"PATH": str(tmp_path), "AICHAT_TOKEN": "t"},
        stdout=subprocess.DEVNULL,
    )
    try:
        began.read_text()
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
    finally:
        process.kill()
        process.wait()
    assert aichatctl.calls() == ["list", "create", "describe", "delete"]


@pytest.mark.parametrize(
    ("codes", "reply", "calls"),
    [
        ({"create": 5}, "Paris", ["list", "create", "describe", "delete"]),
        ({"prompt": 6}, "Paris", ["list", "create", "prompt", "describe", "delete"]),
        ({}, "", ["list", "create", "prompt", "describe", "delete"]),
        ({"list": 4}, "Paris", ["list"]),
    ],
    ids=["not ready", "no answer", "an empty reply", "no right"],
)
def test_the_script_fails_says_why_and_leaves_no_workspace(
    tmp_path: Path, codes: dict[str, int], reply: str, calls: list[str]
) -> None:
    aichatctl = Aichatctl(tmp_path, reply, "", **codes)
    ran = aichatctl.run()
    assert ran.returncode == next(iter(codes.values()), 1)
    assert aichatctl.calls() == calls


def test_in_a_pod_the_token_comes_from_a_file(tmp_path: Path) -> None:
    aichatctl = Aichatctl(tmp_path)
    (tmp_path / "token").write_text("from-the-kubelet")
    assert aichatctl.run(AICHAT_TOKEN_FILE=str(tmp_path / "token")).returncode == 0
    lines = aichatctl.log.read_text().splitlines()
    assert all(line.endswith(" from-the-kubelet") for line in lines)


@pytest.fixture
def aichatctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aichatctl:
    """The stand-in where a deployment looks for the real one."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(ROOT)
    return Aichatctl(tmp_path)


def test_what_an_interrupted_test_has_left_is_removed_before_the_next_one(
    aichatctl: Aichatctl,
) -> None:
    kubectl = FakeKubectl()
    smoke_test.run(kubectl, PUBLIC, silent)
    calls = [call[:5] for call in kubectl.calls if call[0] != "get"]
    removal = ("delete", WORKSPACES, "--all", "-n", smoke_test.TEAM)
    token = ("create", "token", "smoke-test", "-n", smoke_test.TEAM)
    assert calls.index(removal) < calls.index(token)
    assert calls.count(removal) == 2
    assert aichatctl.calls()


def test_a_deployment_tests_with_a_token_for_that_team_only(aichatctl: Aichatctl) -> None:
    kubectl = FakeKubectl()
    smoke_test.run(kubectl, PUBLIC, silent)
    assert tuple(aichatctl.calls()) == CALLS
    assert all(line.endswith(" t0ken") for line in aichatctl.log.read_text().splitlines())
    (binding,) = (item for (kind, _), item in kubectl.objects.items() if kind == "rolebinding")
    assert binding["metadata"]["namespace"] == smoke_test.TEAM
    assert binding["roleRef"]["name"] == "aichatworkspace-editor"


def test_without_an_address_a_port_forward_leads_to_the_api_until_the_test_ends(
    tmp_path: Path, aichatctl: Aichatctl
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f"#!/bin/sh\necho $$ >{tmp_path}/pid\n"
        'echo "Forwarding from 127.0.0.1:4321 -> 8090"\nexec sleep 60\n'
    )
    kubectl.chmod(0o755)
    (tmp_path / "aichatctl").write_text(f"#!/bin/sh\necho $AICHAT_SERVER >>{aichatctl.log}\necho\n")
    with pytest.raises(DeploymentFailedError, match="reply is empty"):
        smoke_test.run(FakeKubectl(), ENVIRONMENT, silent)
    assert set(aichatctl.log.read_text().split()) == {"http://127.0.0.1:4321"}
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_port_forward_that_ends_says_why(tmp_path: Path, aichatctl: Aichatctl) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho 'error: no pod is running' >&2\n")
    kubectl.chmod(0o755)
    with pytest.raises(
        DeploymentFailedError, match="no port-forward to the API: error: no pod is running"
    ):
        smoke_test.run(FakeKubectl(), ENVIRONMENT, silent)
    assert not aichatctl.log.exists()


def test_a_deployment_is_told_the_end_of_the_output(tmp_path: Path, aichatctl: Aichatctl) -> None:
    aichatctl = Aichatctl(tmp_path, reply="")
    with pytest.raises(DeploymentFailedError, match=r"(?s)has failed:.*the model's reply is empty"):
        smoke_test.run(FakeKubectl(), PUBLIC, silent)
    assert aichatctl.calls()[-1] == "delete"


def test_a_test_ends_with_its_time_and_with_the_lock(
    tmp_path: Path, aichatctl: Aichatctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps = shutil.which("sleep")
    assert sleeps
    (tmp_path / "aichatctl").write_text(f"#!/bin/sh\nexec {sleeps} 60\n")
    monkeypatch.setattr(foreground, "_TICK_SECONDS", 0.1)
    monkeypatch.setattr(smoke_test, "_OTHER_STEPS_SECONDS", 0)
    began = time.monotonic()
    with pytest.raises(DeploymentFailedError, match="has not ended after 1 s"):
        smoke_test.run(FakeKubectl(), replace(PUBLIC, smokeTestSeconds=1), silent)

    def check() -> None:
        raise LockLostError("another run has it")

    with pytest.raises(LockLostError):
        smoke_test.run(FakeKubectl(), PUBLIC, silent, check)
    assert time.monotonic() - began < 20
    assert aichatctl.folder == tmp_path


@pytest.mark.parametrize(
    ("owner", "is_retained", "stays"),
    [
        (f"{smoke_test.TEAM}/{NAME}", True, False),
        (f"{smoke_test.TEAM}/{NAME}", False, True),
        ("people/theirs", True, True),
    ],
)
def test_a_platform_that_retains_everything_does_not_retain_the_tests_namespace(
    aichatctl: Aichatctl, owner: str, *, is_retained: bool, stays: bool
) -> None:
    kubectl = FakeKubectl()
    annotations = {names.OWNER_ANNOTATION: owner}
    if is_retained:
        annotations[names.RETAINED_ANNOTATION] = "true"
    namespace = {"metadata": {"name": NAME, "annotations": annotations}}
    kubectl.objects["namespace", NAME] = namespace
    smoke_test.run(kubectl, PUBLIC, silent)
    assert (NAME in kubectl.names("namespace")) == stays
    assert aichatctl.calls()


def test_a_machine_without_the_command_line_is_told_so_before_anything_is_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RefusedError, match="make deploy"):
        smoke_test.check_programs()


def test_the_script_and_the_manifests_name_the_same_team() -> None:
    documents = [*yaml.safe_load_all((SCRIPT.parent / "team" / "team.yaml").read_text())]
    assert documents[0]["metadata"]["name"] == smoke_test.TEAM
    assert documents[0]["metadata"]["labels"][names.TEAM_LABEL] == "true"
    assert {item["metadata"].get("namespace", smoke_test.TEAM) for item in documents} == {
        smoke_test.TEAM
    }
    assert f'TEAM: Final = "{smoke_test.TEAM}"\n' in SCRIPT.read_text()
    assert smoke_test.TEAM in names.RESERVED_NAMES, "a workspace can't take its namespace"
