"""The life of a cluster: up, down, and what is there."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import yaml

from localcluster import binaries, firewall, kernel, kwok, leftovers, node, preflight, state
from localcluster.addons import ADDONS
from localcluster.configuration import write_files
from localcluster.controlplane import start_control_plane
from localcluster.errors import AlreadyRunningError, CommandFailedError, NotRunningError
from localcluster.images.base import NAME as BASE
from localcluster.images.build import ensure_images
from localcluster.images.programs import PAUSE
from localcluster.layout import GATEWAY, IMAGE_STORE, NODE
from localcluster.paths import state_dir
from localcluster.process import alive, start, stop
from localcluster.progress import Report
from localcluster.readiness import await_services
from localcluster.registry.making import ensure_models
from localcluster.state import FULL, Cluster

_NODE_LOCK: Final = "the node"  # no name of a cluster
_CHAINS: Final = "chains-before"
_SETTINGS: Final = "settings-before"


def up(
    name: str,
    report: Report,
    *,
    full: bool = False,
    simulated_pods: str = "",
    audit_bodies: bool = False,
) -> Cluster:
    """Bring a control plane, or with `full` a whole node, up from nothing. `simulated_pods` is the
    address of all pods on simulated nodes, and empty for none.

    Raises:
        AlreadyRunningError: one of this name runs.
        MissingPrerequisitesError: the machine lacks something that a node needs.
        CommandFailedError: something could not be built or started.
    """
    preflight.check(full=full, running=_node_runs())
    if full:
        _only_node(name)
    programs = _build(report, full=full)
    with ExitStack() as stack:
        stack.enter_context(state.locked(name))
        found = state.load(name)
        if found and found.running():
            raise AlreadyRunningError(
                f"cluster {name!r} runs already; use it with KUBECONFIG={found.kubeconfig}, or "
                f"end it with: python -m localcluster down --name {name}"
            )
        if not full:
            _remove(name, report)
            started = start_control_plane(name, programs, report, audit_bodies=audit_bodies)
            if simulated_pods:
                started = _start_simulated_nodes(started, simulated_pods, report)
            return state.complete(started)
        stack.enter_context(state.locked(_NODE_LOCK))
        _only_node(name)
        _remove(name, report)
        return state.complete(_start_full(name, programs, report))


def install(name: str, further: Sequence[str]) -> None:
    """Install the Debian packages that a node needs, once nothing else is in its way.

    Raises:
        AlreadyRunningError: another cluster holds the machine's one node.
        MissingPrerequisitesError: the machine lacks something that no package brings.
        CommandFailedError: apt-get failed.
    """
    _only_node(name)
    preflight.install(further, running=_node_runs())


def _nodes() -> list[Cluster]:
    return [each for each in state.every() if each.mode == FULL]


def _node_runs() -> bool:
    return any(each.any_alive() for each in _nodes())


def _only_node(name: str) -> None:
    """The node has addresses of its own on this machine, so there is one."""
    for other in _nodes():
        if other.name != name and other.any_alive():
            raise AlreadyRunningError(
                f"cluster {other.name!r} holds this machine's one node; use it with KUBECONFIG="
                f"{other.kubeconfig}, or end it with: python -m localcluster down --name "
                f"{other.name}"
            )


def build(report: Report, *, full: bool) -> None:
    """Make everything that `up` needs, so that it starts at once."""
    preflight.check(full=full, running=True)
    _build(report, full=full)
    if full:
        binaries.ensure(binaries.KUSTOMIZE, report)


def _build(report: Report, *, full: bool) -> Path:
    """The folder of Kubernetes' programs. Images and models are made while they compile."""
    if not full:
        return binaries.ensure_kubernetes(report, full=False)
    with ThreadPoolExecutor(max_workers=2) as pool:
        images = pool.submit(ensure_images, report)
        models = pool.submit(ensure_models, report)
        programs = binaries.ensure_kubernetes(report, full=True)
        binaries.ensure(binaries.COREDNS, report)
        images.result()
        models.result()
    return programs


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


def tag(name: str, image: str, further: str) -> None:
    """Give an image of a full cluster's node a further name."""
    node.tag_image(get(name), image, further)


def _start_simulated_nodes(cluster: Cluster, address: str, report: Report) -> Cluster:
    programs = binaries.ensure_kubernetes(report, full=True)  # for the scheduler
    cluster = kwok.start_nodes(cluster, programs, address, report)
    kubectl(cluster, "create", "-f", "-", stdin=yaml.safe_dump_all(kwok.nodes()))
    names = [f"node/{node['metadata']['name']}" for node in kwok.nodes()]
    report("nodes", "waiting until they are ready")
    kubectl(cluster, "wait", "--for=condition=Ready", *names, "--timeout=60s")
    return cluster


def _start_full(name: str, programs: Path, report: Report) -> Cluster:
    coredns = binaries.ensure(binaries.COREDNS, report) / "coredns"
    images = ensure_images(report)
    models = ensure_models(report)
    pause = next(image for image in images if image.name == PAUSE)
    # Written down first, so that an interruption from here on is cleaned up by `down`.
    state.save(Cluster(name, FULL, server="", token=""))
    firewall.remember(state_dir(name) / _CHAINS)
    kernel.remember(state_dir(name) / _SETTINGS)
    node.add_bridge()
    cluster = start_control_plane(name, programs, report, address=GATEWAY)
    layout = write_files(cluster, pause.name)
    for component, command in node.services(cluster, layout, coredns, models).items():
        cluster = _start(cluster, component, command)
    node.await_containerd(cluster)
    present = node.images(cluster)
    for image in images:
        if image.name != BASE and present.get(image.name) != image.digest:
            report("node", f"loading {image.name}")
            node.load_image(cluster, image.archive)
    for component, command in node.commands(cluster, layout, programs).items():
        cluster = _start(cluster, component, command)
    for addon in ADDONS:
        kubectl(cluster, "apply", "-f", "-", stdin=yaml.safe_dump(addon))
    report("node", "waiting until it is ready")
    kubectl(cluster, "wait", "--for=create", f"node/{NODE}", "--timeout=60s")
    kubectl(cluster, "wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=60s")
    await_services(cluster, report)
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
    orderly = found.mode == FULL and _drain(found, report)
    for component in reversed(found.components):
        report("stopping", component.name)
        stop(component)
    if found.mode == FULL:
        leftovers.end_pods(found.folder)
        node.unmount(found.folder)
        if not _others_node_runs(name):
            _remove_shared(found, orderly=orderly)
    shutil.rmtree(found.folder)
    return True


def _others_node_runs(name: str) -> bool:
    """The record of a node that died with the machine says nothing of the one that runs now."""
    return any(other.name != name and other.any_alive() for other in _nodes())


def _remove_shared(found: Cluster, *, orderly: bool) -> None:
    """What all nodes of this machine have under the same names, one after the other."""
    leftovers.remove_networks()
    node.remove_bridge()
    firewall.remove_since(found.folder / _CHAINS)
    kernel.restore(found.folder / _SETTINGS)
    if not orderly:
        shutil.rmtree(IMAGE_STORE, ignore_errors=True)


def _drain(cluster: Cluster, report: Report) -> bool:
    """Let the kubelet take its pods down, with their networks; nobody makes new ones meanwhile.
    Whether the container runtime is left with its images and nothing else."""
    if not any(each.name == "containerd" and alive(each) for each in cluster.components):
        return False
    for component in cluster.components:
        if component.name in ("kube-controller-manager", "kube-scheduler"):
            stop(component)
    report("stopping", "pods")
    with contextlib.suppress(CommandFailedError):
        kubectl(cluster, "delete", "pods", "-A", "--all", "--grace-period=1", "--timeout=20s")
    deadline = time.monotonic() + 20
    while node.runs_containers(cluster) and time.monotonic() < deadline:
        time.sleep(0.2)
    node.remove_containers(cluster)
    return not node.containers(cluster)
