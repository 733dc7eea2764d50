import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.node import cleanup

CONTAINER, OTHER_CONTAINER = "a" * 64, "b" * 64


@pytest.fixture
def shim(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process with a shim's name and a container's ID among its arguments."""
    program = tmp_path / "containerd-shim-runc-v2"
    program.symlink_to("/bin/sh")
    command = [str(program), "-c", "read line", "-id", CONTAINER]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # noqa: S603
        yield process
        process.kill()


def state_folder(tmp_path: Path, container: str) -> Path:
    """Return the folder of a cluster with one container."""
    (tmp_path / cleanup._TASKS / container).mkdir(parents=True)
    return tmp_path


def test_only_the_shims_of_a_clusters_containers_are_ended(
    shim: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    cleanup.end_pods(state_folder(tmp_path, OTHER_CONTAINER))
    assert shim.poll() is None
    cleanup.end_pods(state_folder(tmp_path, CONTAINER))
    assert shim.wait(timeout=30) == -9


def test_a_containers_processes_are_found_by_their_control_group(tmp_path: Path) -> None:
    groups = {
        7: f"4:memory:/kubepods/pod1/{CONTAINER}\n",
        8: f"0::/docker/{OTHER_CONTAINER}\n",
        9: "0::/\n",
    }
    for pid, group in groups.items():
        process = tmp_path / str(pid)
        process.mkdir()
        (process / "cgroup").write_text(group)
        (process / "cmdline").write_bytes(b"ollama\0" + CONTAINER.encode())
        (process / "stat").write_text(f"{pid} (ollama) S 1")
    assert [*cleanup.process_ids({CONTAINER}, tmp_path)] == [7]
    (tmp_path / "7" / "stat").write_text("7 (ollama) Z 1")
    assert [*cleanup.process_ids({CONTAINER}, tmp_path)] == []


def test_a_cluster_that_never_ran_a_pod_has_no_containers(tmp_path: Path) -> None:
    start = time.monotonic()
    cleanup.end_pods(tmp_path)
    assert cleanup.container_ids(tmp_path) == set()
    assert time.monotonic() - start < 5


def test_only_our_networks_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(cleanup, "_try_to_run", lambda *command: commands.append(command))
    monkeypatch.setattr(cleanup, "_devices", lambda: iter(["veth1"]))
    names = {"localcluster-a-eth0": "a", "cni-loopback-a-lo": "a", "podman-b-eth0": "b"}
    for name, container in names.items():
        (tmp_path / f"cni-{container}").touch()
        interfaces = [{"name": "veth1"}, {"sandbox": f"/var/run/netns/cni-{container}"}]
        content = {"containerId": container, "result": {"interfaces": interfaces}}
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results" / name).write_text(json.dumps(content))
    torn = tmp_path / "results" / "localcluster-c-eth0"
    torn.write_bytes(b'{"containerId": "c", "sandbox": "/var/run/netns/cni-c", "name": "\xff')
    cleanup.remove_networks(tmp_path / "results", tmp_path)
    assert commands == [
        ("ip", "link", "delete", "veth1"),
        ("umount", "--lazy", str(tmp_path / "cni-a")),
        ("umount", "--lazy", str(tmp_path / "cni-c")),
    ]
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["podman-b-eth0"]
    assert not (tmp_path / "cni-a").exists()
    assert (tmp_path / "cni-b").exists()
