"""Check a cluster's needs of the machine before anything is started."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from localcluster.build import binaries
from localcluster.build.images import ollama
from localcluster.build.images.requirements import DEBIAN_PACKAGES as FOR_IMAGES
from localcluster.build.images.requirements import Package
from localcluster.errors import CommandFailedError, MissingPrerequisitesError
from localcluster.node.layout import BRIDGE_FILTER, CGROUP_CONTROLLERS, INGRESS_PORTS
from localcluster.paths import cache_dir, states_dir

_FOR_THE_NODE: Final = {
    "containerd": Package("runs the containers", "containerd"),
    "runc": Package("starts them", "runc"),
    "containernetworking-plugins": Package("connects them", "/usr/lib/cni/bridge"),
    "iproute2": Package("makes their network", "ip"),
    "iptables": Package("makes services reachable", "iptables"),
    "conntrack": Package("makes services reachable", "conntrack"),
    "nftables": Package("enforces network policies", "nft"),
}
DEBIAN_PACKAGES: Final = {**_FOR_THE_NODE, **FOR_IMAGES}
_GIB: Final = 1024**3
# Measured: what compiling and image building leave in the caches, and what a running node adds.
_COLD_GIB: Final = {False: 6, True: 14}
_WARM_GIB: Final = {False: 1, True: 4}
_TOOL_GIB: Final = 2
_PACKAGE_OF: Final = {"modprobe": "kmod", "unshare": "util-linux"}
_CGROUPS: Final = ("cpu", "memory", "pids")
# Run in a new network namespace, so that nothing of the trial stays.
_NETWORK_TRIAL: Final = (
    "ip link add b0 type bridge && ip link add v0 type veth peer name v1 && "
    "iptables -t nat -A POSTROUTING -m comment --comment trial -j MASQUERADE && "
    "iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT"
)
_POLICY_TRIAL: Final = (
    "nft add table inet t && nft 'add chain inet t c { type filter hook forward priority 0; }' && "
    "nft add rule inet t c ct state established accept"
)


def check(*, full: bool, running: bool) -> None:
    """Check the needs of a control plane, or with `full` those of a node.

    With `running`, one of our nodes runs, and its ports are not checked.

    Raises:
        MissingPrerequisitesError: names everything that is missing, and the fix of each.
    """
    problems = [*_disk_problems(full=full)]
    if full:
        unmet = [*_root_problems(), *_package_problems(missing_packages())]
        problems += unmet or [*_kernel_problems()]
        problems += [] if running else [*_port_problems()]
    _raise_if_any(problems)


def check_for_tools() -> None:
    """Check the needs of compiling a single tool.

    Raises:
        MissingPrerequisitesError: names everything that is missing, and the fix of each.
    """
    _raise_if_any(
        [*_space_problems(_cache_folder(), _TOOL_GIB), *_access_problems(_cache_folder())]
    )


def _raise_if_any(problems: Iterable[str]) -> None:
    if lines := [*problems]:
        raise MissingPrerequisitesError("\n".join(("this machine lacks:", *lines)))


def missing_packages(names: Iterable[str] = tuple(DEBIAN_PACKAGES)) -> list[str]:
    return [name for name in names if not _is_present(name)]


def install(further: Iterable[str] = (), *, running: bool) -> None:
    """Install missing packages with apt-get, `further` ones without their recommendations.

    No package is removed for them.

    Raises:
        MissingPrerequisitesError: a node would lack more than packages, or we are not root.
        CommandFailedError: apt-get failed; a retry helps when it was the network.
    """
    missing, others = missing_packages(), missing_packages(further)
    root = [*_root_problems()]
    packages = [*_package_problems(missing)] if root else []
    ports = [] if running else [*_port_problems()]
    _raise_if_any([*_disk_problems(full=True), *root, *packages, *ports])
    if missing or others:
        _apt("update", "-qq")
    if missing:
        _install(*missing)
    if others:
        _install("--no-install-recommends", *others)


def _install(*packages: str) -> None:
    """Install packages, with the archives in a folder of their own until the end.

    apt runs dpkg several times when it upgrades, and Debian's container images remove the archives
    from the usual folder after each run.
    """
    with tempfile.TemporaryDirectory() as archives:
        folder = f"--option=Dir::Cache::archives={archives}"
        user = "--option=APT::Sandbox::User=root"  # other users may not enter that folder
        _apt("install", "-y", "-qq", "--no-remove", folder, user, *packages)


def _apt(*arguments: str) -> None:
    if shutil.which("apt-get") is None:
        raise CommandFailedError("apt-get is not on this machine: install the packages by hand")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(["apt-get", *arguments], check=False, env=environment).returncode:
        raise CommandFailedError(f"apt-get {' '.join(arguments)} failed; see above")


def _root_problems() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "  - root: a node makes networks and mounts; run this as root"


def _package_problems(missing: list[str]) -> Iterator[str]:
    for name in missing:
        yield f"  - {name}: {DEBIAN_PACKAGES[name].use}"
    if missing:
        yield f"    install them with: apt-get install -y --no-remove {' '.join(missing)}"


def _access_problems(folders: Mapping[str, Path]) -> Iterator[str]:
    for variable, folder in folders.items():
        if not os.access(_nearest_existing(folder), os.W_OK | os.X_OK):
            yield (
                f"  - write access to {folder}: run this as root, or name another place in "
                f"{variable}"
            )


def _space_problems(folders: Mapping[str, Path], needed_gib: int) -> Iterator[str]:
    for variable, folder in folders.items():
        free = shutil.disk_usage(_nearest_existing(folder)).free / _GIB
        if free < needed_gib:
            yield (
                f"  - disk space: {needed_gib} GiB for {folder}, where {free:.1f} GiB are free; "
                f"make room, or name another place in {variable}"
            )
            return


def _folders() -> dict[str, Path]:
    """Return the folders that we write to, by the variable that moves each."""
    return {**_cache_folder(), "LOCALCLUSTER_STATE": states_dir()}


def _cache_folder() -> dict[str, Path]:
    return {"LOCALCLUSTER_CACHE": cache_dir()}


def _disk_problems(*, full: bool) -> Iterator[str]:
    needed_gib = (_WARM_GIB if _is_cache_warm(full=full) else _COLD_GIB)[full]
    yield from _space_problems(_folders(), needed_gib)
    yield from _access_problems(_folders())


def _kernel_problems() -> Iterator[str]:
    enabled = _cgroup_controllers()
    for name in _CGROUPS:
        if name not in enabled:
            yield f"  - cgroup controller {name}: enable it (kernel parameter cgroup_enable={name})"
    if "overlay" not in Path("/proc/filesystems").read_text() and (
        problem := _failure(["modprobe", "overlay"])
    ):
        yield f"  - file system overlay: {problem}; load it with: modprobe overlay"
    yield from _network_problems()


def _network_problems() -> Iterator[str]:
    problem = _failure(["unshare", "--net", "sh", "-c", _NETWORK_TRIAL])
    if problem:
        yield (
            f"  - bridges, veth pairs or netfilter's NAT: {problem}; load them with: "
            "modprobe -a bridge veth nf_nat xt_MASQUERADE xt_comment xt_conntrack"
        )
    problem = _failure(["unshare", "--net", "sh", "-c", _POLICY_TRIAL])
    if problem:
        yield f"  - nf_tables: {problem}; load it with: modprobe -a nf_tables nft_ct"
    if not BRIDGE_FILTER.exists() and (problem := _failure(["modprobe", "br_netfilter"])):
        yield (
            f"  - br_netfilter, which policies between pods need: {problem}; load it with: "
            "modprobe br_netfilter"
        )


def _cgroup_controllers() -> set[str]:
    if CGROUP_CONTROLLERS.exists():
        return set(CGROUP_CONTROLLERS.read_text().split())
    lines = (line.split() for line in Path("/proc/cgroups").read_text().splitlines())
    return {line[0] for line in lines if line[-1] == "1"}


def _port_problems() -> Iterator[str]:
    for port in INGRESS_PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except PermissionError:
                return  # missing root is a problem of its own
            except OSError:
                yield f"  - port {port}: another program listens there; end it (ss -ltnp shows it)"


def _failure(command: list[str]) -> str:
    """Run a command and return the message of its failure, or "" if it succeeds."""
    if shutil.which(command[0]) is None:
        return f"{command[0]} is not installed (Debian package {_PACKAGE_OF[command[0]]})"
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stderr.strip() or f"exit code {result.returncode}") if result.returncode else ""


def _nearest_existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _is_cache_warm(*, full: bool) -> bool:
    """Return whether the largest things are built already."""
    return binaries.is_kubernetes_built(full=full) and (not full or ollama.is_built())


def _is_present(name: str) -> bool:
    """Look for the file that we need of a package: another package, as Docker's, may have it."""
    package = DEBIAN_PACKAGES.get(name)
    if package is None:
        return _is_installed(name)
    # A bare name is a program on the PATH, and never a file of the folder that we are in.
    path = Path(package.proof)
    return bool(shutil.which(package.proof)) or (path.is_absolute() and path.is_file())


def _is_installed(package: str) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    result = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout == "installed"
