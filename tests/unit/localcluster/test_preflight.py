import socket
from pathlib import Path

import pytest

from localcluster import preflight
from localcluster.errors import CommandFailedError, MissingPrerequisitesError
from localcluster.ports import free_port


def test_all_missing_things_are_in_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setattr(preflight, "_COLD_GIB", {False: 10**9, True: 10**9})
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(preflight, "missing_packages", lambda *_: ["runc", "conntrack"])
    with pytest.raises(MissingPrerequisitesError) as error:
        preflight.check(full=True, running=True)
    message = str(error.value)
    assert "root: " in message
    assert "apt-get install -y --no-remove runc conntrack" in message
    assert "GiB are free" in message
    assert "LOCALCLUSTER_CACHE" in message


@pytest.mark.parametrize("address", ["127.0.0.1", ""], ids=["here", "everywhere"])
def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with socket.create_server((address, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(preflight, "INGRESS_PORTS", (port,))
        assert [*preflight._port_problems()] == [
            f"  - port {port}: another program listens there; end it (ss -ltnp shows it)"
        ]


def test_a_program_that_listens_on_another_address_is_no_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.2", port)):
        monkeypatch.setattr(preflight, "INGRESS_PORTS", (port,))
        assert [*preflight._port_problems()] == []


def test_a_control_plane_needs_neither_root_nor_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    monkeypatch.setattr(preflight, "_COLD_GIB", {False: 0, True: 0})
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    preflight.check(full=False, running=False)


def test_without_root_no_package_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(preflight, "missing_packages", lambda *_: ["runc"])
    monkeypatch.setattr(preflight, "_apt", lambda *_: pytest.fail("apt-get is run"))
    with pytest.raises(MissingPrerequisitesError, match=r"(?s)root: .*--no-remove runc"):
        preflight.install(running=True)


def test_a_read_only_state_folder_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_STATE", "/proc/read/only")
    monkeypatch.setattr("os.access", lambda path, _: not str(path).startswith("/proc"))
    monkeypatch.setattr(preflight, "_COLD_GIB", {False: 0, True: 0})
    with pytest.raises(MissingPrerequisitesError, match=r"write access to .*LOCALCLUSTER_STATE"):
        preflight.check(full=False, running=True)


def test_a_cache_without_kubernetes_needs_the_space_of_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    monkeypatch.setattr(preflight, "_COLD_GIB", {False: 10**9, True: 10**9})
    (tmp_path / "binaries" / "kustomize-0").mkdir(parents=True)
    with pytest.raises(MissingPrerequisitesError, match="1000000000 GiB"):
        preflight.check(full=False, running=True)


def test_a_program_of_another_package_is_not_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "containerd"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preflight, "_is_installed", lambda _: False)
    assert preflight.missing_packages(["containerd", "runc", "other"]) == ["runc", "other"]


def test_a_file_of_the_present_folder_is_no_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "containerd").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert preflight.missing_packages(["containerd"]) == ["containerd"]


def test_a_machine_without_the_programs_of_the_checks_is_told_their_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preflight, "BRIDGE_FILTER", tmp_path / "bridge-nf-call-iptables")
    problems = [*preflight._kernel_problems()]
    assert any("unshare is not installed (Debian package util-linux)" in text for text in problems)
    assert any("modprobe is not installed (Debian package kmod)" in text for text in problems)
    assert preflight.missing_packages(["runc", "other"]) == ["runc", "other"]
    with pytest.raises(CommandFailedError, match="apt-get is not on this machine"):
        preflight._apt("update")


@pytest.mark.parametrize(
    ("failing", "text"),
    [("nft", "nf_tables"), ("iptables", "NAT"), ("br_netfilter", "modprobe br_netfilter")],
)
def test_a_missing_kernel_feature_is_named_with_the_modules_to_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failing: str, text: str
) -> None:
    monkeypatch.setattr(preflight, "BRIDGE_FILTER", tmp_path / "bridge-nf-call-iptables")
    monkeypatch.setattr(
        preflight, "_failure", lambda command: "no" if failing in " ".join(command) else ""
    )
    monkeypatch.setattr(preflight, "_cgroup_controllers", lambda: {"cpu", "memory", "pids"})
    (problem,) = preflight._kernel_problems()
    assert text in problem
