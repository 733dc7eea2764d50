import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.node import cleanup

MINE, FOREIGN = "a" * 64, "b" * 64


@pytest.fixture
def shim(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process by the name of a shim, with a container's ID among its arguments."""
    program = tmp_path / "containerd-shim-runc-v2"
    program.symlink_to("/bin/sh")
    command = [str(program), "-c", "read line", "-id", MINE]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # noqa: S603
        yield process
        process.kill()


def state(tmp_path: Path, *containers: str) -> Path:
    for each in containers:
        (tmp_path / cleanup._TASKS / each).mkdir(parents=True)
    return tmp_path


def test_shims_that_their_runtime_left_are_ended(
    shim: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    cleanup.end_pods(state(tmp_path, FOREIGN))
    assert shim.poll() is None
    cleanup.end_pods(state(tmp_path, MINE))
    assert shim.wait(timeout=30) == -9


def test_a_containers_processes_are_known_by_their_control_group(tmp_path: Path) -> None:
    groups = {7: f"4:memory:/kubepods/pod1/{MINE}\n", 8: f"0::/docker/{FOREIGN}\n", 9: "0::/\n"}
    for pid, group in groups.items():
        process = tmp_path / str(pid)
        process.mkdir()
        (process / "cgroup").write_text(group)
        (process / "cmdline").write_bytes(b"ollama\0" + MINE.encode())
        (process / "stat").write_text(f"{pid} (ollama) S 1")
    assert [*cleanup.processes_of({MINE}, tmp_path)] == [7]
    (tmp_path / "7" / "stat").write_text("7 (ollama) Z 1")
    assert [*cleanup.processes_of({MINE}, tmp_path)] == []


def test_a_cluster_that_never_ran_a_pod_has_no_containers(tmp_path: Path) -> None:
    started = time.monotonic()
    cleanup.end_pods(tmp_path)
    assert cleanup.container_ids(tmp_path) == set()
    assert time.monotonic() - started < 5


def test_only_our_networks_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(cleanup, "_quietly", lambda *command: ran.append(command))
    monkeypatch.setattr(cleanup, "_devices", lambda: iter(["veth1"]))
    names = {"localcluster-a-eth0": "a", "cni-loopback-a-lo": "a", "podman-b-eth0": "b"}
    for note, container in names.items():
        (tmp_path / f"cni-{container}").touch()
        interfaces = [{"name": "veth1"}, {"sandbox": f"/var/run/netns/cni-{container}"}]
        content = {"containerId": container, "result": {"interfaces": interfaces}}
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results" / note).write_text(json.dumps(content))
    cleanup.remove_networks(tmp_path / "results", tmp_path)
    assert ran == [
        ("ip", "link", "delete", "veth1"),
        ("umount", "--lazy", str(tmp_path / "cni-a")),
    ]
    assert [each.name for each in (tmp_path / "results").iterdir()] == ["podman-b-eth0"]
    assert not (tmp_path / "cni-a").exists()
    assert (tmp_path / "cni-b").exists()
