"""Create, edit, break, upgrade and delete fifty workspaces again and again, with a restart of the
operator halfway: nothing is leaked. `make soak`, for SOAK seconds and SOAK_WORKSPACES."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.oracles import are_gone, are_made, scan
from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    control_plane,
    operators_access,
    platform,
    restore_default_settings,
    start_operator,
    workspace,
)
from tests.soak.usage import Usage
from tests.waiting import eventually

SECONDS: Final = float(os.environ.get("SOAK") or 3600)
NAMES: Final = tuple(
    f"soak-{number:02}" for number in range(int(os.environ.get("SOAK_WORKSPACES") or 50))
)
_STEP_SECONDS: Final = 600
_LEAST_CYCLES: Final = 2
"""In each half: the first one warms caches."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with control_plane(f"soak-{os.getpid()}") as control:
        yield control


@contextmanager
def running_operator(kubeconfig: Path, folder: Path) -> Iterator[int]:
    """Give the operator's process ID. It ends in time, and its log holds no traceback."""
    log = folder / "log"
    command = (
        sys.executable,
        str(Path(__file__).with_name("watched_operator.py")),
        str(folder / "usage"),
    )
    process: subprocess.Popen[bytes] = start_operator(
        kubeconfig, log, command, ENV="dev", PROBE_PORT="0"
    )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert "Traceback" not in log.read_text()


@pytest.mark.timeout(SECONDS + 4 * _STEP_SECONDS)
def test_hours_of_work_leak_nothing(cluster: Cluster, tmp_path: Path) -> None:
    kubeconfig = operators_access(cluster, tmp_path)
    with running_operator(kubeconfig, tmp_path):
        cycle(cluster, 0)
    before = scan(cluster)
    for half in (1, 2):
        with running_operator(kubeconfig, tmp_path) as pid:
            usages = work(cluster, pid, tmp_path / "usage", SECONDS / 2)
            assert len(usages) >= _LEAST_CYCLES, "SOAK has to be longer on this machine"
            print(f"half {half}: {len(usages)} cycles, {asdict(usages[0])} to {asdict(usages[-1])}")
            assert usages[-1].leaks_since(usages[0]) == []
    eventually(lambda: scan(cluster) == before, "what there was before", 60)


def work(cluster: Cluster, pid: int, report: Path, seconds: float) -> list[Usage]:
    """Go through cycles for some seconds. Return what the operator holds after each."""
    ends, usages = time.monotonic() + seconds, list[Usage]()
    while len(usages) < _LEAST_CYCLES or time.monotonic() < ends:
        cycle(cluster, len(usages) + 1)
        usages.append(Usage.read(pid, report))
        print(f"cycle {len(usages)}: {usages[-1]}", flush=True)
    return usages


def cycle(cluster: Cluster, number: int) -> None:
    """One life of all workspaces."""
    items = [workspace(name, models=["gemma2:2b"]) for name in NAMES]
    cluster.apply({"apiVersion": "v1", "kind": "List", "items": items})
    eventually(lambda: are_made(cluster, *NAMES), "created", _STEP_SECONDS)
    for name in NAMES:
        cluster.kube.patch("aiws", name, SYSTEM, {"spec": {"workspaceENV": f"cycle-{number}"}})
    eventually(lambda: are_made(cluster, *NAMES), "edited", _STEP_SECONDS)
    for name in NAMES:
        cluster.kube.delete("service", f"{name}-openwebui", name)
        cluster.kube.patch("deployment", f"{name}-openwebui", name, {"spec": {"replicas": 2}})
    eventually(lambda: all(is_whole(cluster, name) for name in NAMES), "repaired", _STEP_SECONDS)
    image = f"ghcr.io/open-webui/open-webui:v0.99.{number}"
    cluster.apply(platform({"images": {"openWebUI": image}, "upgrades": {"concurrent": 50}}))
    eventually(
        lambda: all(images(cluster, name) == [image] for name in NAMES), "upgraded", _STEP_SECONDS
    )
    cluster.kubectl("delete", "aiws", *NAMES, "-n", SYSTEM, "--wait=false")
    eventually(lambda: are_gone(cluster, *NAMES), "deleted", _STEP_SECONDS)
    restore_default_settings(cluster)


def is_whole(cluster: Cluster, name: str) -> bool:
    workload = f"{name}-openwebui"
    has_service = cluster.kube.has("service", workload, name)
    return has_service and deployment(cluster, name)["spec"]["replicas"] == 1


def images(cluster: Cluster, name: str) -> list[str]:
    pod = deployment(cluster, name)["spec"]["template"]["spec"]
    return [container["image"] for container in pod["containers"]]


def deployment(cluster: Cluster, name: str) -> Any:
    return cluster.get("deployment", f"{name}-openwebui", "-n", name)
