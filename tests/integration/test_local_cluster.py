"""The local cluster reports that it runs, survives failures and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import ROOT
from tests.waiting import eventually

STATES = Path(os.environ.get("LOCALCLUSTER_STATE") or "/var/lib/localcluster")


class Life:
    """The command line of one cluster."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.line(command, *arguments), cwd=ROOT, capture_output=True, text=True, check=False
        )

    def line(self, command: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "localcluster", command, "--name", self.name, *arguments]

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.run("status", "-o", "json").stdout)
        return status

    def processes(self) -> list[str]:
        """Every process on this machine that works on the cluster's folder."""
        commands = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has ended meanwhile
            if f"{STATES / self.name}/" in command:
                commands.append(command)
        return commands


@pytest.fixture
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    assert request.node.name
    new_life = Life(f"life-{os.getpid()}")
    yield new_life
    new_life.run("down")
    assert new_life.processes() == []
    assert not (STATES / new_life.name).exists()


def test_a_second_up_says_how_to_use_and_how_to_end_the_one_that_runs(life: Life) -> None:
    assert life.run("up").returncode == 0
    second = life.run("up")
    assert second.returncode == 3
    assert "KUBECONFIG=" in second.stderr
    assert f"down --name {life.name}" in second.stderr
    assert [component["state"] for component in life.status()["components"]] == ["running"] * 3


@pytest.mark.slow
def test_up_replaces_a_cluster_that_lost_a_component(life: Life) -> None:
    life.run("up")
    before = life.status()
    etcd = next(component for component in before["components"] if component["name"] == "etcd")
    os.kill(etcd["pid"], signal.SIGKILL)
    eventually(lambda: life.status()["running"] is False, "it is seen that one has ended")
    assert life.run("up").returncode == 0
    assert life.status()["running"] is True
    assert len(life.processes()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("line", ["waiting for the API server", "waiting for the controllers"])
def test_an_interrupted_up_is_no_obstacle_to_the_next(life: Life, line: str) -> None:
    starting = subprocess.Popen(life.line("up"), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert starting.stderr
    assert any(line in text for text in starting.stderr), "it is at this line"
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGCONT):  # it gets no further meanwhile
        starting.send_signal(number)
    starting.communicate(timeout=20)
    assert starting.returncode != 0
    assert life.status()["running"] is False
    assert life.processes() != [], "it was interrupted in the middle"
    assert life.run("up").returncode == 0
    assert len(life.processes()) == 3


def test_down_of_a_cluster_that_is_not_there_says_so() -> None:
    process = Life("never-was").run("down")
    assert process.returncode == 0
    assert "there was no cluster 'never-was'" in process.stdout


def test_a_name_that_is_a_path_is_refused() -> None:
    process = Life("../etc").run("up")
    assert process.returncode == 2
    assert "lower-case letters, digits and" in process.stderr
