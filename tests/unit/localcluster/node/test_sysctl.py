from pathlib import Path

import pytest

from localcluster.node import sysctl


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine's settings; its kernel has no br_netfilter yet."""
    for each in sysctl.SETTINGS:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_text("0\n")
    bridged(tmp_path).unlink()
    return tmp_path


def bridged(root: Path) -> Path:
    return root / "net/bridge/bridge-nf-call-iptables"


def test_what_a_node_changed_is_as_it_was(root: Path) -> None:
    record = root / "record"
    sysctl.remember(record, root)
    for each in ("net/ipv4/ip_forward", "kernel/panic"):
        (root / each).write_text("10\n")
    sysctl.restore(record, root)
    values = {(root / each).read_text() for each in sysctl.SETTINGS if (root / each).exists()}
    assert values == {"0\n"}


def test_what_was_not_changed_is_not_written_to(root: Path) -> None:
    """The kernel does more than keep the value: writing ip_forward resets other settings."""
    record = root / "record"
    sysctl.remember(record, root)
    before = {each: each.stat().st_mtime_ns for each in root.rglob("*/*") if each.is_file()}
    sysctl.restore(record, root)
    assert {each: each.stat().st_mtime_ns for each in before} == before


def test_a_setting_that_a_module_brought_meanwhile_is_left(root: Path) -> None:
    record = root / "record"
    sysctl.remember(record, root)
    bridged(root).write_text("1\n")
    sysctl.restore(record, root)
    assert bridged(root).read_text() == "1\n"


def test_without_a_record_nothing_is_put_back(root: Path) -> None:
    sysctl.restore(root / "never-written", root)
