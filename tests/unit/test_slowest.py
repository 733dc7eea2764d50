"""What is printed of slow tests: a plugin that says nothing would not be missed."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

_SUITE = """
import pytest
import time
from tests.waiting import eventually, recorded

@pytest.fixture
def ready():
    with recorded("the fixture"):
        time.sleep(0.4)

def test_slow(ready):
    later = time.monotonic() + 0.7
    eventually(lambda: time.monotonic() > later, "the moment to come")

def test_quick():
    pass
"""

_CONFTEST = """
from tests.slowest import Slowest

def pytest_configure(config):
    config.pluginmanager.register(Slowest())
"""


def test_a_run_says_what_its_slow_tests_waited_for_and_so_do_several_runs(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(_SUITE)
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]")
    pytest, times = ("pytest", "-p", "xdist", str(tmp_path)), str(tmp_path / "times")
    assert moments(*pytest) == ["the moment to come"]
    for workers in ("0", "1"):
        assert moments(*pytest, "-n", workers, TEST_TIMES=times) == []
    assert moments("tests.slowest", times) == ["the moment to come"] * 2


def moments(*module: str, **environment: str) -> list[str]:
    """What it says that slow tests waited for; `make test` itself may name a file for times."""
    inherited = {name: value for name, value in os.environ.items() if name != "TEST_TIMES"}
    ran = subprocess.run(
        [sys.executable, "-m", *module],
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return re.findall(r"s for: (.*)  \[.*::test_slow\]", ran.stdout)
