import socket
from pathlib import Path

import pytest

from localcluster import preflight
from localcluster.errors import MissingPrerequisitesError


def test_everything_that_is_missing_is_said_in_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setattr(preflight, "_COLD_GIB", {False: 10**9, True: 10**9})
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(preflight, "missing_packages", lambda: ["runc", "conntrack"])
    with pytest.raises(MissingPrerequisitesError) as told:
        preflight.check(full=True, running=True)
    said = str(told.value)
    assert "root: " in said
    assert "apt-get install -y runc conntrack" in said
    assert "GiB are free" in said
    assert "LOCALCLUSTER_CACHE" in said


def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(preflight, "INGRESS_PORTS", (port,))
        assert [*preflight._ports()] == [
            f"  - port {port}: another program listens there; end it (ss -ltnp shows it)"
        ]


def test_a_control_plane_needs_neither_root_nor_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    monkeypatch.setattr(preflight, "_COLD_GIB", {False: 0, True: 0})
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    preflight.check(full=False, running=False)
