"""Remove processes and networks of pods whose runtime or kubelet is gone."""

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
_CNI_RESULTS: Final = Path("/var/lib/cni/results")
_NAMESPACES: Final = Path("/run/netns")
_NAMESPACE_PATH: Final = re.compile(r"/netns/(cni-[0-9a-f-]+)")
_CONTAINER_ID: Final = re.compile(r"[0-9a-f]{64}")
_KILL_SECONDS: Final = 5.0


def end_pods(folder: Path, proc: Path = Path("/proc")) -> None:
    """Kill the processes of a cluster's containers, and their shims.

    The container's ID identifies them: it is in a process's control group and in its shim's
    arguments. With the runtime gone, there is no other list of them.
    """
    deadline = time.monotonic() + _KILL_SECONDS
    ids = container_ids(folder)
    while (pids := [*process_ids(ids, proc)]) and time.monotonic() < deadline:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def container_ids(folder: Path) -> set[str]:
    """Return the IDs of the containers that the runtime had when it ended."""
    tasks = folder / _TASKS
    return {task.name for task in tasks.iterdir()} if tasks.exists() else set()


def process_ids(containers: set[str], proc: Path = Path("/proc")) -> Iterator[int]:
    """Yield the ids of the live processes of these containers, given by their IDs."""
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):
            text = (process / "cgroup").read_text() + _shim_arguments(process)
            if containers.intersection(_CONTAINER_ID.findall(text)) and _is_live(process):
                yield int(process.name)


def remove_networks(results: Path = _CNI_RESULTS, namespaces: Path = _NAMESPACES) -> None:
    """Remove the networks of pods that no plugin has removed.

    They are the devices on our bridge, the mounts of the namespaces, and the plugins' records in
    ``results``.
    """
    for device in _devices():
        _try_to_run("ip", "link", "delete", device)
    for result in sorted(results.glob(f"{NETWORK}-*")):
        text = result.read_text(
            errors="replace"
        )  # torn where the machine died while it was written
        for name in sorted(set(_NAMESPACE_PATH.findall(text))):
            _try_to_run("umount", "--lazy", str(namespaces / name))
            with suppress(OSError):
                (namespaces / name).unlink()
        for path in results.glob(f"*-{_container(result)}-*"):
            path.unlink(missing_ok=True)
        result.unlink(missing_ok=True)


def _container(result: Path) -> str:
    """Return the container of a plugin's record, from its name: network, container, device."""
    return result.name.removeprefix(f"{NETWORK}-").rpartition("-")[0]


def _devices() -> Iterator[str]:
    result = subprocess.run(
        ["ip", "-json", "link", "show", "master", BRIDGE],
        capture_output=True,
        text=True,
        check=False,
    )
    yield from (device["ifname"] for device in json.loads(result.stdout or "[]") if device)


def _shim_arguments(process: Path) -> str:
    arguments = (process / "cmdline").read_bytes().decode(errors="replace")
    return arguments if "containerd-shim" in arguments.partition("\0")[0] else ""


def _is_live(process: Path) -> bool:
    return (process / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"


def _try_to_run(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=False)
