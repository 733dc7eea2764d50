"""The life of a cluster: up, down, and what is there."""

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
from localcluster.build.images.base import NAME as BASE
from localcluster.build.images.build import ensure_images
from localcluster.build.images.oci import Image
from localcluster.build.images.programs import PAUSE
from localcluster.errors import AlreadyRunningError, CommandFailedError, NotRunningError
from localcluster.node import cleanup, components, firewall, sysctl
from localcluster.node.addons import ADDONS
from localcluster.node.configuration import write_files
from localcluster.node.control_plane import start_control_plane
from localcluster.node.layout import GATEWAY, IMAGE_STORE, NODE
from localcluster.node.readiness import await_services
from localcluster.paths import state_dir
from localcluster.processes.background import alive, start, stop
from localcluster.progress import Report
from localcluster.registry.making import ensure_models
from localcluster.state import FULL, Cluster

_NODE_LOCK: Final = "the node"  # no name of a cluster
_CHAINS: Final = "chains-before"
_SETTINGS: Final = "settings-before"
_DAY_SECONDS: Final = 24 * 60 * 60


def up(name: str, report: Report, *, full: bool = False) -> Cluster:
    """Bring a control plane, or with `full` a whole node, up from nothing.

    Raises:
        AlreadyRunningError: one of this name runs.
        MissingPrerequisitesError: the machine lacks something that a node needs.
        CommandFailedError: something could not be built or started.
    """
    preflight.check(full=full, running=_node_runs())
    with ExitStack() as stack:
        if full:
            _only_node(name)
            made = stack.enter_context(_meanwhile(report))
        programs = binaries.ensure_kubernetes(report, full=full)
        stack.enter_context(state.locked(name))
        found = state.load(name)
        if found and found.running():
            raise AlreadyRunningError(
                f"cluster {name!r} runs already; use it with KUBECONFIG={found.kubeconfig}, or "
                f"end it with: python -m localcluster down --name {name}"
            )
        if not full:
            _remove(name, report)
            return state.complete(start_control_plane(name, programs, report))
        stack.enter_context(state.locked(_NODE_LOCK))
        _only_node(name)
        _remove(name, report)
        return state.complete(_start_full(name, programs, made, report))


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
    if not full:
        binaries.ensure_kubernetes(report, full=False)
        return
    with _meanwhile(report) as made:
        binaries.ensure_kubernetes(report, full=True)
        binaries.ensure(binaries.COREDNS, report)
        made.images.result()
        made.models.result()
    binaries.ensure(binaries.KUSTOMIZE, report)


@dataclass(frozen=True)
class _Made:
    """What only pods need; who needs a part waits for its result."""

    images: Future[tuple[Image, ...]]
    models: Future[Path]


@contextlib.contextmanager
def _meanwhile(report: Report) -> Iterator[_Made]:
    """Make images and models in threads. Leaving waits for them; a signal ends them."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield _Made(pool.submit(ensure_images, report), pool.submit(ensure_models, report))


def down(name: str, report: Report) -> bool:
    """End a cluster and remove all that it left. False when there was none."""
    with state.locked(name):
        return _remove(name, report)


def clean(days: int) -> int:
    """Remove from the cache what nothing has used for so many days. How many bytes that freed.

    Raises:
        AlreadyRunningError: a cluster runs, which may use some of it for longer.
    """
    for each in state.every():
        if each.any_alive():
            raise AlreadyRunningError(
                f"cluster {each.name!r} runs; end it first with: python -m localcluster down "
                f"--name {each.name}"
            )
    return unused.remove(time.time() - days * _DAY_SECONDS)


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
    components.load_image(get(name), archive)


def tag(name: str, image: str, further: str) -> None:
    """Give an image of a full cluster's node a further name."""
    components.tag_image(get(name), image, further)


def _start_full(name: str, programs: Path, made: _Made, report: Report) -> Cluster:
    # Written down first, so that an interruption from here on is cleaned up by `down`.
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
    for image in made.images.result():
        if image.name != BASE and present.get(image.name) != image.digest:
            report("node", f"loading {image.name}")
            components.load_image(cluster, image.archive)
    for component, command in components.commands(cluster, layout, programs).items():
        cluster = _start(cluster, component, command)
    models = made.models.result()
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
        cleanup.end_pods(found.folder)
        components.unmount(found.folder)
        if not _others_node_runs(name):
            _remove_shared(found, orderly=orderly)
    shutil.rmtree(found.folder)
    return True


def _others_node_runs(name: str) -> bool:
    """The record of a node that died with the machine says nothing of the one that runs now."""
    return any(other.name != name and other.any_alive() for other in _nodes())


def _remove_shared(found: Cluster, *, orderly: bool) -> None:
    """What all nodes of this machine have under the same names, one after the other."""
    cleanup.remove_networks()
    components.remove_bridge()
    firewall.remove_since(found.folder / _CHAINS)
    sysctl.restore(found.folder / _SETTINGS)
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
    while components.runs_containers(cluster) and time.monotonic() < deadline:
        time.sleep(0.2)
    components.remove_containers(cluster)
    return not components.containers(cluster)
