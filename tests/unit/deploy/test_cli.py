"""The command with a kubectl that says what it is told to say."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from deploy.kubectl import Kubectl, KubectlError

ROOT: Final = Path(__file__).parents[3]


class Program:
    """A kubectl for PATH that notes its calls and prints what belongs to one that begins so."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._cases = folder, ""

    def answers(self, begin: str, output: str, code: int = 0) -> None:
        self._cases += (
            f"  '{begin}'*) printf '%s\\n' '{output}' >&{2 if code else 1}; exit {code} ;;\n"
        )
        (self.folder / "kubectl").write_text(
            f'#!/bin/sh\necho "$*" >>{self.folder}/calls\ncase "$*" in\n{self._cases}esac\n'
        )
        (self.folder / "kubectl").chmod(0o755)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        path = f"{self.folder}:{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def deploy(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run(sys.executable, "-m", "deploy", "to", *arguments)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    program = Program(tmp_path)
    program.answers("config get-contexts", "staging\nproduction")
    return program


def test_production_is_not_deployed_to_while_another_context_is_current(program: Program) -> None:
    program.answers("config current-context", "staging")
    ran = program.deploy("production")
    assert ran.returncode == 2
    assert "the current context is staging" in ran.stderr
    assert "kubectl config use-context production" in ran.stderr
    assert all(call.startswith("config") for call in program.calls())


def test_a_kubeconfig_without_the_context_is_refused(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.answers("config get-contexts", "kind")
    ran = program.deploy("staging")
    assert ran.returncode == 2
    assert "has none of this name, but: kind" in ran.stderr


def test_all_calls_name_the_environments_context(program: Program) -> None:
    program.answers("config current-context", "staging")
    program.answers("--context=staging get namespace", "the server is down", code=1)
    ran = program.deploy("staging")
    assert ran.returncode == 1
    assert "the server is down" in ran.stderr
    calls = [call for call in program.calls() if not call.startswith("config")]
    assert calls
    assert all(call.startswith("--context=staging ") for call in calls)


def test_an_unknown_environment_is_refused_without_a_call(program: Program) -> None:
    ran = program.deploy("prod")
    assert ran.returncode == 2
    assert "choose one of: production, staging" in ran.stderr
    assert not (program.folder / "calls").exists()


def test_a_machine_without_kubectl_is_told_so(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "deploy", "to", "staging"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.endswith("kubectl is not in PATH: install it\n")


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        (("ENV=staging",), 'deploy to "staging"'),
        (
            ("ENV=production", "CRDS=keep", "BACK=yes", "ENVIRONMENTS=mine"),
            'deploy to "production" --folder "mine" --keep-crds --back',
        ),
        (("ENV=staging", "CRDS=no", "BACK=no"), 'deploy to "staging"'),
    ],
)
def test_make_passes_its_variables_on(
    program: Program, variables: tuple[str, ...], command: str
) -> None:
    ran = program.run("make", "-n", "deploy", *variables)
    assert [line.split() for line in ran.stdout.splitlines() if "-m deploy" in line] == [
        f"python -m {command}".split()
    ]


def test_waiting_for_deployments_says_why_they_do_not_come(program: Program) -> None:
    stored = '{"metadata": {"generation": 1}, "spec": {"replicas": 2}, "status": {}}'
    program.answers("get deployment", stored)
    program.answers("get pods", '{"items": []}')
    program.answers("get events", '{"items": []}')
    ran = program.run(sys.executable, "-m", "deploy", "wait", "operator", "--seconds", "1")
    assert ran.returncode == 1
    assert "operator: its controller has not seen the change" in ran.stderr


def test_what_kubectl_says_of_a_failure_is_the_error(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.answers("get secret", "it is forbidden", code=1)
    monkeypatch.setenv("PATH", f"{program.folder}:{os.environ['PATH']}")
    with pytest.raises(KubectlError, match=r"^it is forbidden$"):
        Kubectl().get("secret", "any")
    assert Kubectl().get("configmap", "any") is None, "nothing is printed for what does not exist"
