"""A workspace's whole life by `aichatctl` alone, with the API as a process, an operator and an API
server; no pod runs, so a server in memory stands for the models."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.api import person, token_request
from tests.integration.api_process import running_api
from tests.integration.chat_server import chat_server
from tests.integration.conftest import SYSTEM, Cluster
from tests.integration.model_server import REPLY, model_server

NAME = "by-command"
MODEL = "small:1"
_SECONDS = 120
_PERSON = "typist"


@dataclass(frozen=True)
class CommandLine:
    """Runs aichatctl with a configuration of its own."""

    folder: Path

    def run(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """What it printed; its errors too where they are expected."""
        ran = subprocess.run(
            ["aichatctl", *arguments],
            input=stdin,
            env={**os.environ, "AICHAT_CONFIG": str(self.folder / "config.yaml")},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + (ran.stderr if code else "")


@pytest.fixture
def aichatctl(cluster: Cluster, operator: Path, tmp_path: Path) -> Iterator[CommandLine]:
    """Somebody who has signed in with a token."""
    assert operator.exists()
    for document in person(_PERSON):
        cluster.apply(document)
    token = cluster.kubectl(*token_request(_PERSON))
    with running_api(cluster, tmp_path) as api:
        commands = CommandLine(tmp_path / "configuration")
        assert f":{_PERSON} at {api.url}" in commands.run("login", api.url, stdin=token)
        yield commands


def test_a_workspace_is_created_awaited_asked_and_deleted(
    cluster: Cluster, aichatctl: CommandLine
) -> None:
    settings = ("--set", "embeddingModel=none", "--set", "suspended=true")
    aichatctl.run("create", NAME, *settings)
    aichatctl.run("wait", NAME, "--for", "created", "--timeout", "60s")
    aichatctl.run("wait", NAME, "--for", "suspended", "--timeout", "60s")
    assert "resume" in aichatctl.run("prompt", NAME, "Hello?", "-m", MODEL, code=1)
    with model_server(cluster, NAME) as models, chat_server(cluster, NAME):
        aichatctl.run("models", "add", NAME, MODEL)
        aichatctl.run("resume", NAME)
        aichatctl.run("wait", NAME, "--for", "models", "--timeout", "60s")
        assert models.present == {MODEL}
        assert MODEL in aichatctl.run("models", "list", NAME)
        assert aichatctl.run("prompt", NAME, "Hello?") == f"{REPLY}\n"
        _assert_usage(cluster, aichatctl)
    assert "it waits for" in aichatctl.run("wait", NAME, "--timeout", "1s", code=5)
    assert "IngressServed" in aichatctl.run("describe", NAME)
    assert json.loads(aichatctl.run("credentials", NAME, "-o", "json"))["password"]
    # No kubelet ends the servers' pods.
    cluster.kubectl("delete", "pods", "--all", "-n", NAME, "--force", "--grace-period=0")
    aichatctl.run("delete", NAME, "--yes", "--wait", "--timeout", "100s")
    assert "There is no workspace" in aichatctl.run("get", NAME, code=3)
    assert not cluster.kube.has("namespace", NAME)


def _assert_usage(cluster: Cluster, aichatctl: CommandLine) -> None:
    """The command line says of the quota what the API server counts, and no more than is known."""
    usage = json.loads(aichatctl.run("usage", NAME, "-o", "json"))
    status = cluster.get("resourcequota", NAME, "-n", NAME)["status"]
    counted = {entry["resource"]: entry["hard"] for entry in usage["quota"]}
    assert counted == status["hard"]
    assert {volume["name"] for volume in usage["volumes"]} == {"ollama", "openWebUI"}
    assert usage["objects"]["present"] == usage["objects"]["expected"] > 0
    ((name, size),) = ((model["name"], model["bytes"]) for model in usage["models"])
    assert (name, size > 0) == (MODEL, True)
    team = json.loads(aichatctl.run("usage", "--team", SYSTEM, "-o", "json"))
    assert team["workspaces"] >= 1
    assert "every team" in aichatctl.run("usage", "--platform", code=4)
    catalogue = json.loads(aichatctl.run("models", "catalogue", NAME, "-o", "json"))["items"]
    assert {entry["name"]: entry["fits"] for entry in catalogue}[MODEL] is True


def test_a_role_that_is_missing_is_exit_code_4(cluster: Cluster, aichatctl: CommandLine) -> None:
    cluster.kubectl("delete", "rolebinding", _PERSON, "-n", "aichat-workspace-operator-system")
    refusal = aichatctl.run("create", f"{NAME}-2", code=4)
    assert "may not create aichatworkspaces" in refusal
    assert "try: aichatctl doctor" in refusal
