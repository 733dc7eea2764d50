"""Make a workspace, wait until people can chat, and ask its model; with --delete, delete it then.

    make client
    API=http://127.0.0.1:8090/api/v1 TOKEN=... PYTHONPATH=build/client \\
      build/generator/bin/python examples/create_and_ask.py team-a-aichat gemma2:2b "Who are you?"
"""

import argparse
import os
import sys
import time
from typing import TypeVar

from aichat_client import AuthenticatedClient
from aichat_client.api.one_workspace import ask, read_diagnosis
from aichat_client.api.workspaces import create_workspace, delete_workspace, read_workspace
from aichat_client.models import (
    Phase,
    ProblemDocument,
    Prompt,
    WorkspaceCreate,
    WorkspaceSpec,
)

T = TypeVar("T")


def main() -> None:
    arguments = _arguments()
    address = os.environ["API"].removesuffix("/api/v1")
    with AuthenticatedClient(address, os.environ["TOKEN"], timeout=300) as client:
        spec = WorkspaceSpec(workspace_name=arguments.name, models=[arguments.model])
        workspace = _ok(create_workspace.sync(client=client, body=WorkspaceCreate(spec=spec)))
        _wait_ready(client, workspace.name, arguments.wait_seconds)
        prompt = Prompt(prompt=arguments.question, temperature=0.0, seed=1)
        print(_ok(ask.sync(workspace.name, client=client, body=prompt)).reply)
        if arguments.delete:
            _ok(delete_workspace.sync(workspace.name, client=client, team=workspace.team))
            print(f"{workspace.name}: deleted")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("model")
    parser.add_argument("question")
    parser.add_argument("--wait-seconds", type=float, default=300)
    parser.add_argument("--delete", action="store_true", help="delete the workspace at the end")
    return parser.parse_args()


def _wait_ready(client: AuthenticatedClient, name: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    printed = None
    while time.monotonic() < deadline:
        phase = _ok(read_workspace.sync(name, client=client)).status.phase
        if phase != printed:
            print(f"{name}: {phase}", flush=True)
        if phase == Phase.READY:
            return
        printed = phase
        time.sleep(0.5)
    diagnosis = _ok(read_diagnosis.sync(name, client=client))
    advice = [f"{finding.message} {finding.advice}" for finding in diagnosis.findings]
    sys.exit("\n".join((f"{name} is not ready: {diagnosis.summary}", *advice)))


def _ok(answer: T | ProblemDocument | None) -> T:
    """Return the answer, or exit with the API's problem."""
    if isinstance(answer, ProblemDocument):
        sys.exit(f"{answer.title}: {answer.detail}")
    if answer is None:
        sys.exit("The API has answered something that it does not document.")
    return answer


if __name__ == "__main__":
    main()
