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
    monkeypatch.setattr(preflight, "missing_packages", lambda *_: ["runc", "conntrack"])
    with pytest.raises(MissingPrerequisitesError) as told:
        preflight.check(full=True, running=True)
    said = str(told.value)
    assert "root: " in said
    assert "apt-get install -y --no-remove runc conntrack" in said
    assert "GiB are free" in said
    assert "LOCALCLUSTER_CACHE" in said


@pytest.mark.parametrize("address", ["127.0.0.1", ""], ids=["here", "everywhere"])
def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with socket.create_server((address, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(preflight, "INGRESS_PORTS", (port,))
        assert [*preflight._ports()] == [
            f"  - port {port}: another program listens there; end it (ss -ltnp shows it)"
        ]


def test_a_program_that_listens_elsewhere_is_not_in_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        monkeypatch.setattr(preflight, "INGRESS_PORTS", (other.getsockname()[1],))
        assert [*preflight._ports()] == []


def test_a_control_plane_needs_neither_root_nor_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    monkeypatch.setattr(preflight, "_COLD_GIB", {False: 0, True: 0})
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    preflight.check(full=False, running=False)


def test_a_missing_package_is_not_asked_of_apt_without_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(preflight, "missing_packages", lambda *_: ["runc"])
    monkeypatch.setattr(preflight, "_apt", lambda *_: pytest.fail("apt-get is run"))
    with pytest.raises(MissingPrerequisitesError, match=r"(?s)root: .*--no-remove runc"):
        preflight.install(running=True)


def test_a_state_folder_that_can_not_be_written_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_STATE", "/proc/nobody/writes/here")
    monkeypatch.setattr("os.access", lambda path, _: not str(path).startswith("/proc"))
    monkeypatch.setattr(preflight, "_COLD_GIB", {False: 0, True: 0})
    with pytest.raises(MissingPrerequisitesError, match=r"write access to .*LOCALCLUSTER_STATE"):
        preflight.check(full=False, running=True)


def test_a_cache_without_kubernetes_is_a_cold_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    monkeypatch.setattr(preflight, "_COLD_GIB", {False: 10**9, True: 10**9})
    (tmp_path / "binaries" / "kustomize-0").mkdir(parents=True)
    with pytest.raises(MissingPrerequisitesError, match="1000000000 GiB"):
        preflight.check(full=False, running=True)


def test_a_program_that_is_there_needs_no_package_of_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "containerd"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preflight, "_installed", lambda _: False)
    assert preflight.missing_packages(["containerd", "runc", "other"]) == ["runc", "other"]


@pytest.mark.parametrize(
    ("failing", "said"),
    [("nft", "nf_tables"), ("iptables", "NAT"), ("br_netfilter", "modprobe br_netfilter")],
)
def test_what_the_kernel_lacks_is_named_with_the_modules_to_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failing: str, said: str
) -> None:
    monkeypatch.setattr(preflight, "_BRIDGED", tmp_path / "bridge-nf-call-iptables")
    monkeypatch.setattr(
        preflight, "_fails", lambda command: "no" if failing in " ".join(command) else ""
    )
    monkeypatch.setattr(preflight, "_controllers", lambda: {"cpu", "memory", "pids"})
    (problem,) = preflight._kernel()
    assert said in problem
