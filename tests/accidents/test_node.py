"""A whole node through accidents: whatever ends at the wrong moment, nothing is left behind."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.domain.v1alpha1.platform_spec import Images
from tests.e2e.machine import LOCALCLUSTER, ROOT, STATES, remains

IMAGE = Images().ollama


class NodeLife:
    """The command line of one node."""

    def __init__(self, name: str) -> None:
        self.name = name

    def line(self, command: str, *arguments: str) -> list[str]:
        return [*LOCALCLUSTER, command, "--name", self.name, *arguments]

    def run(self, command: str, *arguments: str) -> str:
        line = self.line(command, *arguments)
        ran = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
        return ran.stdout

    def kubectl(self, *arguments: str) -> None:
        kubeconfig = f"--kubeconfig={STATES / self.name / 'kubeconfig'}"
        subprocess.run(["kubectl", kubeconfig, *arguments], check=True)

    def kill(self, component: str) -> None:
        status: Any = json.loads(self.run("status", "-o", "json"))
        (found,) = [each for each in status["components"] if each["name"] == component]
        os.kill(found["pid"], signal.SIGKILL)


@pytest.fixture
def life() -> Iterator[NodeLife]:
    """A node's life, after which the machine is as it was."""
    found = NodeLife(f"e2e-{os.getpid()}")
    before = {**remains(found.name), "models": models()}
    yield found
    found.run("down")
    assert {**remains(found.name), "models": models()} == before
    assert not (STATES / found.name).exists()


def models() -> list[str]:
    """The processes of pods with our image, which name no folder of ours."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(path.read_text(errors="replace"))
    return [each for each in found if each.startswith("/bin/ollama\0")]


@pytest.mark.parametrize("line", ["waiting for the API", "waiting until it is", "for traefik"])
def test_an_interrupted_up_leaves_nothing_that_down_does_not_remove(
    life: NodeLife, line: str
) -> None:
    starting = subprocess.Popen(
        life.line("up", "--full"), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert starting.stderr
    assert any(line in said for said in starting.stderr), "it is at this line"
    starting.send_signal(signal.SIGINT)
    starting.communicate(timeout=30)
    assert starting.returncode != 0


@pytest.mark.parametrize("component", ["containerd", "kubelet", "kube-apiserver"])
def test_down_removes_the_pods_of_a_node_that_lost_a_component(
    life: NodeLife, component: str
) -> None:
    life.run("up", "--full")
    life.kubectl("run", "models", f"--image={IMAGE}", "--restart=Never")
    life.kubectl("wait", "pod/models", "--for=condition=Ready", "--timeout=60s")
    assert models() != []
    life.kill(component)
