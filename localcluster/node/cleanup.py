"""What pods leave behind when the runtime or the kubelet that would have ended them is gone."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from localcluster.node.layout import BRIDGE, NETWORK

_TASKS: Final = Path("node/containerd/io.containerd.runtime.v2.task/k8s.io")
_NOTES: Final = Path("/var/lib/cni/results")
_NAMESPACES: Final = Path("/run/netns")
_NAMESPACE: Final = re.compile(r"/netns/(cni-[0-9a-f-]+)")
_ID: Final = re.compile(r"[0-9a-f]{64}")
_GONE_SECONDS: Final = 5.0


def end_pods(folder: Path, proc: Path = Path("/proc")) -> None:
    """End what a cluster's containers still run, and the shims that hold them.

    They are told by their container's ID, which is in a process's control group and in its shim's
    arguments: with the runtime gone, nothing else knows them.
    """
    deadline = time.monotonic() + _GONE_SECONDS
    ids = container_ids(folder)
    while (left := [*processes_of(ids, proc)]) and time.monotonic() < deadline:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def container_ids(folder: Path) -> set[str]:
    """The containers that the runtime had when it ended."""
    tasks = folder / _TASKS
    return {each.name for each in tasks.iterdir()} if tasks.exists() else set()


def processes_of(ids: set[str], proc: Path = Path("/proc")) -> Iterator[int]:
    """The live processes of these containers."""
    for each in proc.glob("[0-9]*"):
        with suppress(OSError):
            known = (each / "cgroup").read_text() + _shim_arguments(each)
            if ids.intersection(_ID.findall(known)) and _lives(each):
                yield int(each.name)


def remove_networks(notes: Path = _NOTES, namespaces: Path = _NAMESPACES) -> None:
    """Remove the networks of pods that no plugin was asked to remove: the device on our bridge, the
    mount that kept the namespace, and what the plugins noted of them."""
    for device in _devices():
        _quietly("ip", "link", "delete", device)
    for note in notes.glob(f"{NETWORK}-*"):
        text = note.read_text()
        for name in sorted(set(_NAMESPACE.findall(text))):
            _quietly("umount", "--lazy", str(namespaces / name))
            with suppress(OSError):
                (namespaces / name).unlink()
        for each in notes.glob(f"*-{json.loads(text)['containerId']}-*"):
            each.unlink()


def _devices() -> Iterator[str]:
    listed = subprocess.run(
        ["ip", "-json", "link", "show", "master", BRIDGE],
        capture_output=True,
        text=True,
        check=False,
    )
    yield from (each["ifname"] for each in json.loads(listed.stdout or "[]") if each)


def _shim_arguments(process: Path) -> str:
    arguments = (process / "cmdline").read_bytes().decode(errors="replace")
    return arguments if "containerd-shim" in arguments.partition("\0")[0] else ""


def _lives(process: Path) -> bool:
    return (process / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"


def _quietly(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=False)
