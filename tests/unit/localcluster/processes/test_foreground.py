import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.processes import foreground
from localcluster.processes.background import start_ticks

# Two programs with a child each, as in a `build`: one in this thread and one in another.
_BUILD = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from localcluster.processes import foreground
from localcluster.build.images import cache
from localcluster.build.images.run import run_with_log

def compile_all(name):
    with cache.scratch() as folder:
        command = ["sh", "-c", f"sleep 300 & echo $! > {sys.argv[1]}/{name}; wait"]
        if name == "captured":
            foreground.run(command)
        else:
            run_with_log(command, log=folder / "log", on_tick=lambda _: None)

foreground.terminate_with_parent()
with ThreadPoolExecutor() as pool:
    image = pool.submit(compile_all, "captured")
    compile_all("logged")
    image.result()
"""


@pytest.fixture
def build(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a build that ignores SIGINT from the start, like a shell's background job."""
    environment = {**os.environ, "LOCALCLUSTER_CACHE": str(tmp_path / "cache")}
    background = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    process = subprocess.Popen(  # noqa: S603
        [*background, sys.executable, "-c", _BUILD, str(tmp_path)],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not all(_text(tmp_path / name) for name in ("logged", "captured")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_build_and_its_children(
    build: "subprocess.Popen[bytes]", tmp_path: Path, number: signal.Signals
) -> None:
    build.send_signal(number)
    assert build.wait(timeout=20) != 0
    for name in ("logged", "captured"):
        assert start_ticks(int(_text(tmp_path / name))) is None
    assert [*(tmp_path / "cache").glob("build-*")] == []


def test_a_result_has_output_and_exit_code() -> None:
    result = foreground.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 3)


def test_a_long_output_does_not_block_a_program() -> None:
    assert len(foreground.run([sys.executable, "-c", "print('x' * 10**6)"]).stdout) > 10**6
