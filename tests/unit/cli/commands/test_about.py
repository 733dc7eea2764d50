"""Commands about the program itself."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.unit.cli.world import World, run_cli

PROGRAM = Path(sys.executable).parent / "aichatctl"


def test_both_versions_are_shown(world: World) -> None:
    number = version("aichat-workspace-operator")
    assert world.run("version").out == f"client {number}\nserver {number}\n"
    assert json.loads(world.run("version", "--client", "-o", "json").out) == {"client": number}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_be_taught_to_complete(shell: str) -> None:
    script = run_cli("completion", shell, env={}).out
    assert "_AICHATCTL_COMPLETE=complete" in script.replace(" ", "")


def test_a_shell_that_asks_is_told_the_commands(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "AICHAT_CONFIG": str(tmp_path / "config.yaml"),
        "_AICHATCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": "aichatctl cre",
        "COMP_CWORD": "1",
    }
    completed = subprocess.run(  # noqa: S603  (our own program)
        [PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert completed.stdout.split() == ["create", "credentials"], completed.stderr
