"""A whole node with failures: a start that is interrupted, and components that are killed."""

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


class NodeCommands:
    """Run the commands of `python -m localcluster` for one node."""

    def __init__(self, name: str) -> None:
        self.name = name

    def line(self, command: str, *arguments: str) -> list[str]:
        return [*LOCALCLUSTER, command, "--name", self.name, *arguments]

    def run(self, command: str, *arguments: str) -> str:
        line = self.line(command, *arguments)
        result = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
        return result.stdout

    def kubectl(self, *arguments: str) -> None:
        kubeconfig = f"--kubeconfig={STATES / self.name / 'kubeconfig'}"
        subprocess.run(["kubectl", kubeconfig, *arguments], check=True)

    def kill(self, name: str) -> None:
        status: Any = json.loads(self.run("status", "-o", "json"))
        (pid,) = [
            component["pid"] for component in status["components"] if component["name"] == name
        ]
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def node() -> Iterator[NodeCommands]:
    """A node that is not started yet; after the test the machine is as it was."""
    node = NodeCommands(f"e2e-{os.getpid()}")
    before = {**remains(node.name), "models": model_servers()}
    yield node
    node.run("down")
    assert {**remains(node.name), "models": model_servers()} == before
    assert not (STATES / node.name).exists()


def model_servers() -> list[str]:
    """The command lines of pods with our image, which name no folder of ours."""
    command_lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process has ended meanwhile
            command_lines.append(path.read_text(errors="replace"))
    return [line for line in command_lines if line.startswith("/bin/ollama\0")]


@pytest.mark.parametrize("message", ["waiting for the API", "waiting until it is", "for traefik"])
def test_down_removes_what_an_interrupted_up_has_made(node: NodeCommands, message: str) -> None:
    process = subprocess.Popen(
        node.line("up", "--full"), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    assert any(message in line for line in process.stderr), "it has come to this message"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0


@pytest.mark.parametrize("component", ["containerd", "kubelet", "kube-apiserver"])
def test_down_removes_the_pods_of_a_node_that_lost_a_component(
    node: NodeCommands, component: str
) -> None:
    node.run("up", "--full")
    node.kubectl("run", "models", f"--image={IMAGE}", "--restart=Never")
    node.kubectl("wait", "pod/models", "--for=condition=Ready", "--timeout=60s")
    assert model_servers() != []
    node.kill(component)
