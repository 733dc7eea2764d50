from pathlib import Path

import pytest

from localcluster.node import sysctl


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Write a machine's settings; its kernel has no br_netfilter yet."""
    for name in sysctl.SETTINGS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("0\n")
    bridge_filter(tmp_path).unlink()
    return tmp_path


def bridge_filter(root: Path) -> Path:
    return root / "net/bridge/bridge-nf-call-iptables"


def test_changed_settings_are_restored(root: Path) -> None:
    record = root / "record"
    sysctl.remember(record, root)
    for name in ("net/ipv4/ip_forward", "kernel/panic"):
        (root / name).write_text("10\n")
    sysctl.restore(record, root)
    values = {(root / name).read_text() for name in sysctl.SETTINGS if (root / name).exists()}
    assert values == {"0\n"}


def test_unchanged_settings_are_not_written(root: Path) -> None:
    """The kernel does more than keep the value: writing ip_forward resets other settings."""
    record = root / "record"
    sysctl.remember(record, root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*/*") if path.is_file()}
    sysctl.restore(record, root)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_setting_of_a_module_loaded_meanwhile_is_not_changed(root: Path) -> None:
    record = root / "record"
    sysctl.remember(record, root)
    bridge_filter(root).write_text("1\n")
    sysctl.restore(record, root)
    assert bridge_filter(root).read_text() == "1\n"


def test_without_a_record_nothing_is_restored(root: Path) -> None:
    sysctl.restore(root / "never-written", root)
