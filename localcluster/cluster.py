"""The life of a cluster: up, down, and what is there."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from localcluster import binaries, node, preflight, state
from localcluster.controlplane import FULL, start_control_plane
from localcluster.errors import AlreadyRunningError, CommandFailedError, NotRunningError
from localcluster.images.build import ensure_images
from localcluster.images.programs import PAUSE
from localcluster.process import start, stop
from localcluster.progress import Report
from localcluster.state import Cluster


def up(name: str, report: Report, *, full: bool = False) -> Cluster:
    """Bring a control plane, or with `full` a whole node, up from nothing.

    Raises:
        AlreadyRunningError: one of this name runs.
        MissingPrerequisitesError: the machine lacks something that a node needs.
        CommandFailedError: something could not be built or started.
    """
    if full:
        preflight.check()
    programs = binaries.ensure(binaries.KUBERNETES, report)
    with state.locked(name):
        found = state.load(name)
        if found and found.running():
            raise AlreadyRunningError(
                f"cluster {name!r} runs already; use it with KUBECONFIG={found.kubeconfig}, or "
                f"end it with: python -m localcluster down --name {name}"
            )
        _remove(name, report)
        if full:
            return _start_full(name, programs, report)
        return start_control_plane(name, programs, report)


def build(report: Report, *, full: bool) -> None:
    """Make everything that `up` needs, so that it starts at once."""
    if full:
        preflight.check()
    binaries.ensure(binaries.KUBERNETES, report)
    if full:
        binaries.ensure(binaries.COREDNS, report)
        ensure_images(report)


def down(name: str, report: Report) -> bool:
    """End a cluster and remove all that it left. False when there was none."""
    with state.locked(name):
        return _remove(name, report)


def get(name: str) -> Cluster:
    """Raises NotRunningError when there is no cluster of this name."""
    found = state.load(name)
    if found is None:
        raise NotRunningError(
            f"there is no cluster {name!r}; start one with: python -m localcluster up --name {name}"
        )
    return found


def load(name: str, archive: Path) -> None:
    """Give a full cluster's node an image."""
    node.load_image(get(name), archive)


def _start_full(name: str, programs: Path, report: Report) -> Cluster:
    coredns = binaries.ensure(binaries.COREDNS, report) / "coredns"
    images = ensure_images(report)
    pause = next(image for image in images if image.name == PAUSE)
    node.add_bridge()
    cluster = start_control_plane(name, programs, report, address=node.GATEWAY)
    layout = node.write_files(cluster, pause.name)
    for component, command in node.services(cluster, layout, coredns).items():
        cluster = _start(cluster, component, command)
    node.await_containerd(cluster)
    for image in images:
        report("node", f"loading {image.name}")
        node.load_image(cluster, image.archive)
    for component, command in node.commands(cluster, layout, programs).items():
        cluster = _start(cluster, component, command)
    for addon in node.ADDONS:
        kubectl(cluster, "apply", "-f", "-", stdin=yaml.safe_dump(addon))
    report("node", "waiting until it is ready")
    kubectl(cluster, "wait", "--for=create", f"node/{node.NODE}", "--timeout=60s")
    kubectl(cluster, "wait", "--for=condition=Ready", f"node/{node.NODE}", "--timeout=60s")
    return cluster


def _start(cluster: Cluster, component: str, command: Sequence[str | Path]) -> Cluster:
    log = cluster.folder / "logs" / f"{component}.log"
    return state.add(cluster, start(component, command, log))


def kubectl(cluster: Cluster, *arguments: str, stdin: str | None = None) -> str:
    """Raises CommandFailedError with what kubectl said."""
    ran = subprocess.run(
        ["kubectl", f"--kubeconfig={cluster.kubeconfig}", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise CommandFailedError(f"kubectl {' '.join(arguments)}: {ran.stderr}")
    return ran.stdout


def _remove(name: str, report: Report) -> bool:
    """Also cleans up after a run that was interrupted."""
    found = state.load(name)
    if found is None:
        return False
    if found.mode == FULL:
        _drain(found, report)
    for component in reversed(found.components):
        report("stopping", component.name)
        stop(component)
    if found.mode == FULL:
        node.remove_proxy_rules(binaries.ensure(binaries.KUBERNETES, report))
        node.unmount(found.folder)
        node.remove_bridge()
    shutil.rmtree(found.folder)
    return True


def _drain(cluster: Cluster, report: Report) -> None:
    """Let the kubelet take its pods down, with their networks; nobody makes new ones meanwhile."""
    for component in cluster.components:
        if component.name in ("kube-controller-manager", "kube-scheduler"):
            stop(component)
    report("stopping", "pods")
    with contextlib.suppress(CommandFailedError):
        kubectl(cluster, "delete", "pods", "-A", "--all", "--grace-period=1", "--timeout=20s")
    deadline = time.monotonic() + 20
    while node.containers(cluster) and time.monotonic() < deadline:
        time.sleep(0.2)
    node.remove_containers(cluster)
