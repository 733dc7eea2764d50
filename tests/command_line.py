"""`aichatctl`, run in this process."""

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from aichat_workspace.cli import main


def run(*arguments: str | Path, stdin: str = "", home: Path | None = None) -> Any:
    environment = {"DOCKER_CONFIG": str(home or "/nothing")}
    return CliRunner().invoke(main.build(), [*map(str, arguments)], input=stdin, env=environment)
