"""Start, find and remove clusters, and give a node images."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from localcluster import preflight, state, unused
from localcluster.build import binaries
from localcluster.build.images import containerfile
from localcluster.build.images.base import NAME as BASE
from localcluster.build.images.build import ensure_images
from localcluster.build.images.oci import Image
from localcluster.build.images.programs import PAUSE
from localcluster.errors import AlreadyRunningError, CommandFailedError, NotRunningError
from localcluster.node import cleanup, components, firewall, kwok, sysctl
from localcluster.node.addons import ADDONS
from localcluster.node.configuration import write_files
from localcluster.node.control_plane import start_control_plane
from localcluster.node.layout import GATEWAY, IMAGE_STORE, NODE
from localcluster.node.readiness import await_services
from localcluster.paths import state_dir
from localcluster.processes.background import is_alive, start, stop
from localcluster.progress import Report
from localcluster.registry.making import ensure_models
from localcluster.state import FULL, Cluster

_NODE_LOCK: Final = "the node"  # no name of a cluster
_CHAINS: Final = "chains-before"
_SETTINGS: Final = "settings-before"
_DAY_SECONDS: Final = 24 * 60 * 60


def up(
    name: str,
    report: Report,
    *,
    full: bool = False,
    simulated_pods: str = "",
    audit_bodies: bool = False,
    without_pods: bool = False,
) -> Cluster:
    """Start a control plane, or with `full` a whole node.

    `simulated_pods` is the address of all pods on simulated nodes; empty for no such nodes.

    Raises:
        AlreadyRunningError: a cluster of this name runs, or another cluster has the one node.
        MissingPrerequisitesError: the machine lacks something that a node needs.
        CommandFailedError: something could not be built or started.
    """
    preflight.check(full=full, running=_node_runs())
    with ExitStack() as stack:
        if full:
            _only_node(name)
            builds = stack.enter_context(_build_for_pods(report))
        programs = binaries.ensure_kubernetes(report, full=full)
        stack.enter_context(state.locked(name))
        record = state.load(name)
        if record and record.is_running():
            raise AlreadyRunningError(
                f"cluster {name!r} runs already; use it with KUBECONFIG={record.kubeconfig}, or "
                f"end it with: python -m localcluster down --name {name}"
            )
        if not full:
            _remove(name, report)
            started = start_control_plane(
                name, programs, report, audit_bodies=audit_bodies, without_pods=without_pods
            )
            if simulated_pods:
                started = _start_simulated_nodes(started, simulated_pods, report)
            return state.complete(started)
        stack.enter_context(state.locked(_NODE_LOCK))
        _only_node(name)
        _remove(name, report)
        return state.complete(_start_full(name, programs, builds, report))


def install(name: str, further: Sequence[str]) -> None:
    """Install the Debian packages that a node needs, after all its other needs are met.

    Raises:
        AlreadyRunningError: another cluster holds the machine's one node.
        MissingPrerequisitesError: the machine lacks something that no package brings.
        CommandFailedError: apt-get failed.
    """
    _only_node(name)
    preflight.install(further, running=_node_runs())


def _nodes() -> list[Cluster]:
    return [cluster for cluster in state.all_clusters() if cluster.mode == FULL]


def _node_runs() -> bool:
    return any(node.has_live_component() for node in _nodes())


def _only_node(name: str) -> None:
    """Raise AlreadyRunningError if another cluster runs a node: two would share addresses."""
    for other in _nodes():
        if other.name != name and other.has_live_component():
            raise AlreadyRunningError(
                f"cluster {other.name!r} holds this machine's one node; use it with KUBECONFIG="
                f"{other.kubeconfig}, or end it with: python -m localcluster down --name "
                f"{other.name}"
            )


def build(report: Report, *, full: bool) -> None:
    """Build all that `up` needs, so that it starts at once."""
    preflight.check(full=full, running=True)
    if not full:
        binaries.ensure_kubernetes(report, full=False)
        return
    with _build_for_pods(report) as builds:
        binaries.ensure_kubernetes(report, full=True)
        binaries.ensure(binaries.COREDNS, report)
        builds.images.result()
        builds.models.result()
    binaries.ensure(binaries.KUSTOMIZE, report)


@dataclass(frozen=True)
class _PodBuilds:
    """Builds in threads, which only pods need; `result()` waits for one."""

    images: Future[tuple[Image, ...]]
    """The images that a node needs."""
    models: Future[Path]
    """The folder of the registry's models."""


@contextlib.contextmanager
def _build_for_pods(report: Report) -> Iterator[_PodBuilds]:
    """Build images and models in threads; leaving waits for them, and a signal ends them."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield _PodBuilds(pool.submit(ensure_images, report), pool.submit(ensure_models, report))


def down(name: str, report: Report) -> bool:
    """Stop a cluster and remove all that it left behind; return False if there was none."""
    with state.locked(name):
        return _remove(name, report)


def clean(days: int) -> int:
    """Remove cache entries and builds that were not used for so many days. Return the freed bytes.

    Raises:
        AlreadyRunningError: a cluster runs, which may still use older entries.
    """
    for cluster in state.all_clusters():
        if cluster.has_live_component():
            raise AlreadyRunningError(
                f"cluster {cluster.name!r} runs; end it first with: python -m localcluster down "
                f"--name {cluster.name}"
            )
    before = time.time() - days * _DAY_SECONDS
    return unused.remove(before) + containerfile.clean(before)


def get(name: str) -> Cluster:
    """Return the record of a cluster.

    Raises:
        NotRunningError: there is no cluster of this name.
    """
    record = state.load(name)
    if record is None:
        raise NotRunningError(
            f"there is no cluster {name!r}; start one with: python -m localcluster up --name {name}"
        )
    return record


def load(name: str, archive: Path) -> None:
    """Give a full cluster's node an image."""
    components.load_image(get(name), archive)


def tag(name: str, image: str, further: str) -> None:
    """Give an image of a full cluster's node a further name."""
    components.tag_image(get(name), image, further)


def _start_simulated_nodes(cluster: Cluster, address: str, report: Report) -> Cluster:
    programs = binaries.ensure_kubernetes(report, full=True)  # for the scheduler
    cluster = kwok.start_nodes(cluster, programs, address, report)
    kubectl(cluster, "create", "-f", "-", stdin=yaml.safe_dump_all(kwok.nodes()))
    names = [f"node/{node['metadata']['name']}" for node in kwok.nodes()]
    report("nodes", "waiting until they are ready")
    kubectl(cluster, "wait", "--for=condition=Ready", *names, "--timeout=60s")
    return cluster


def _start_full(name: str, programs: Path, builds: _PodBuilds, report: Report) -> Cluster:
    """Start a node and wait until it is ready."""
    # Recorded first, so that `down` cleans up after an interruption from here on.
    state.save(Cluster(name, FULL, server="", token=""))
    firewall.remember(state_dir(name) / _CHAINS)
    sysctl.remember(state_dir(name) / _SETTINGS)
    components.add_bridge()
    cluster = start_control_plane(name, programs, report, address=GATEWAY)
    layout = write_files(cluster, PAUSE)
    coredns = binaries.ensure(binaries.COREDNS, report) / "coredns"
    for component, command in components.services(cluster, layout, coredns).items():
        cluster = _start(cluster, component, command)
    components.await_containerd(cluster)
    present = components.images(cluster)
    for image in builds.images.result():
        if image.name != BASE and present.get(image.name) != image.digest:
            report("node", f"loading {image.name}")
            components.load_image(cluster, image.archive)
    for component, command in components.commands(cluster, layout, programs).items():
        cluster = _start(cluster, component, command)
    models = builds.models.result()
    cluster = _start(cluster, "registry", components.registry(layout, models))
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
    """Run kubectl and return its output.

    Raises:
        CommandFailedError: it failed; the message has the reason.
    """
    result = subprocess.run(
        ["kubectl", f"--kubeconfig={cluster.kubeconfig}", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise CommandFailedError(f"kubectl {' '.join(arguments)}: {result.stderr}")
    return result.stdout


def _remove(name: str, report: Report) -> bool:
    """Remove a cluster, also after an interrupted start; return False if there was none."""
    cluster = state.load(name)
    if cluster is None:
        return False
    is_drained = cluster.mode == FULL and _drain(cluster, report)
    for component in reversed(cluster.components):
        report("stopping", component.name)
        stop(component)
    if cluster.mode == FULL:
        cleanup.end_pods(cluster.folder)
        components.unmount(cluster.folder)
        if not _has_other_node(name):
            _remove_shared(cluster, keep_images=is_drained)
    shutil.rmtree(cluster.folder)
    return True


def _has_other_node(name: str) -> bool:
    """Return whether another cluster's node runs, as after a node whose record outlived it."""
    return any(other.name != name and other.has_live_component() for other in _nodes())


def _remove_shared(cluster: Cluster, *, keep_images: bool) -> None:
    """Remove the things that have the same names for each node of this machine."""
    cleanup.remove_networks()
    components.remove_bridge()
    firewall.remove_since(cluster.folder / _CHAINS)
    sysctl.restore(cluster.folder / _SETTINGS)
    if not keep_images:
        shutil.rmtree(IMAGE_STORE, ignore_errors=True)


def _drain(cluster: Cluster, report: Report) -> bool:
    """Let the kubelet remove all pods with their networks, while no controller makes new ones.

    Return whether the container runtime has no containers any more.
    """
    if not any(
        component.name == "containerd" and is_alive(component) for component in cluster.components
    ):
        return False
    for component in cluster.components:
        if component.name in ("kube-controller-manager", "kube-scheduler"):
            stop(component)
    report("stopping", "pods")
    with contextlib.suppress(CommandFailedError):
        kubectl(cluster, "delete", "pods", "-A", "--all", "--grace-period=1", "--timeout=20s")
    deadline = time.monotonic() + 20
    while components.has_running_containers(cluster) and time.monotonic() < deadline:
        time.sleep(0.2)
    components.remove_containers(cluster)
    return not components.containers(cluster)
