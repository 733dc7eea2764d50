"""The commands of docs/install.md that need pods."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.conftest import ROOT, TENANT, Node, credentials
from tests.examples import Example, examples, run
from tests.waiting import eventually

PAGE = ROOT / "docs" / "install.md"
pytestmark = pytest.mark.usefixtures("chat")


def marked(mark: str) -> list[Example]:
    return [example for example in examples(PAGE) if example.mark == mark]


def environment(node: Node) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": node.kubeconfig}


def test_the_deployments_roll_out_and_the_first_administrator_is_shown(
    node: Node, tmp_path: Path
) -> None:
    rolled_out, shown = run(marked("node"), environment(node), tmp_path, 120)
    assert rolled_out.count("successfully rolled out") == 2
    email, password = credentials(node, TENANT)
    assert sorted(filter(None, shown.splitlines())) == [
        f"WEBUI_ADMIN_EMAIL={email}",
        f"WEBUI_ADMIN_PASSWORD={password}",
    ]


def test_a_port_forward_leads_to_the_chat(node: Node, tmp_path: Path) -> None:
    """To a free port here: 8080 may be taken."""
    (example,) = marked("forward")
    assert example.script.endswith(" 8080\n")
    example = replace(example, script=example.script.replace(" 8080", " :8080"))
    with (
        running(example, environment(node), tmp_path / "output") as port,
        urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as answer,
    ):
        assert answer.status == 200


@contextmanager
def running(example: Example, environment: dict[str, str], output: Path) -> Iterator[int]:
    """The example while it runs, and the port that it says it forwards."""
    with output.open("w") as file:
        process = subprocess.Popen(
            ["bash", "-c", example.script], env=environment, stdout=file, start_new_session=True
        )

    def ports() -> list[str]:
        return re.findall(r"127\.0\.0\.1:(\d+) ->", output.read_text())

    try:
        eventually(ports, "kubectl forwards a port", 180)
        yield int(ports()[0])
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)
