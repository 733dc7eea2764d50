"""The end of a process, seen from outside."""

import signal
import subprocess
import sys
import time

import pytest

LEADER = """
import asyncio
from aichat_workspace.kube.leases.leader import Election, run_as_leader
from aichat_workspace.kube.leases.lease import LeaseConfig
from aichat_workspace.kube.errors import NotFoundError
from aichat_workspace.operator.shutdown import run_until_signal

class Leases:
    async def get(self, *_):
        raise NotFoundError(404, "NotFound", "")

    async def create(self, _, lease, **__):
        return {{**lease, "metadata": {{**lease["metadata"], "resourceVersion": "1"}}}}

    async def replace(self, _, lease, **__):
        {release}
        print("released", flush=True)
        return lease

async def lead():
    print("leads", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        {ending}
        print("the write is finished", flush=True)

terms = LeaseConfig(namespace="system", name="operator", identity="me", field_manager="test")
leading = run_as_leader(Election(Leases(), terms), lead)
asyncio.run(run_until_signal(leading, end_seconds={end_seconds}))
"""
AT_ONCE = "await asyncio.sleep(0.1)"
NEVER = "await asyncio.sleep(60)"
BLOCKED = "import time; time.sleep(60)"


def stop_leader(release: str, ending: str, end_seconds: float) -> tuple[int, list[str], float]:
    """Send SIGTERM to a leading process. Return its exit code, its output and the seconds."""
    script = LEADER.format(release=release, ending=ending, end_seconds=end_seconds)
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert "leads\n" in iter(process.stdout.readline, "")
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        lines = process.communicate(timeout=30)[0].splitlines()
        return process.returncode, lines, time.monotonic() - started


def test_a_leader_finishes_its_write_and_releases_the_lease() -> None:
    code, output, _ = stop_leader(AT_ONCE, AT_ONCE, end_seconds=10)
    assert code == 0
    steps = [line for line in output if line in ("the write is finished", "released")]
    assert steps == ["the write is finished", "released"]


@pytest.mark.parametrize(
    ("release", "ending"),
    [
        pytest.param(NEVER, AT_ONCE, id="the API server does not answer"),
        pytest.param(AT_ONCE, NEVER, id="the work does not end"),
        pytest.param(AT_ONCE, BLOCKED, id="the event loop hangs"),
    ],
)
def test_a_leader_that_cannot_release_ends_in_time(release: str, ending: str) -> None:
    code, output, seconds = stop_leader(release, ending, end_seconds=1)
    assert code == 1
    assert "released" not in output
    assert 0.9 < seconds < 10
