"""Tests that share a workspace run one after the other, in one of xdist's workers."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests import groups

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests.groups import GroupScheduling

def pytest_xdist_make_scheduler(config, log):
    return GroupScheduling(config, log)
"""
TESTS = """
import os
import pytest

@pytest.mark.parametrize("number", range(8))
def test_who_runs_it(number):
    with open(os.environ["WORKERS"], "a") as workers:
        workers.write(f"{os.environ['PYTEST_XDIST_WORKER']}\\n")
"""


def workers_of(folder: Path, file: str) -> set[str]:
    """The workers that ran the eight tests of a file, out of two."""
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_text(TESTS.replace("\\n", "\\n"))
    (folder / "conftest.py").write_text(CONFTEST)
    names = folder / "workers"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", file],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WORKERS": str(names)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    lines = names.read_text().split()
    assert len(lines) == 8
    return set(lines)


def test_a_group_is_one_workers(tmp_path: Path) -> None:
    assert len(workers_of(tmp_path, "tests/e2e/test_chat.py")) == 1


def test_unit_tests_are_any_workers(tmp_path: Path) -> None:
    assert len(workers_of(tmp_path, "tests/unit/test_any.py")) == 2


def test_who_waits_for_all_others_comes_after_them_also_in_one_process() -> None:
    """What is in no group comes after the groups, but not after these."""
    files = ["e2e/test_upgrade.py", "e2e/test_any.py", "unit/test_any.py", "e2e/test_chat.py"]
    items = [SimpleNamespace(path=ROOT / "tests" / file) for file in files]
    groups.arrange(cast("list[pytest.Item]", items))
    assert [item.path.name for item in items] == [
        "test_chat.py",
        "test_any.py",
        "test_upgrade.py",
        "test_any.py",
    ]
