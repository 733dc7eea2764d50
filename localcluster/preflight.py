"""What a cluster needs of the machine, checked before anything is begun."""

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
from localcluster.node.layout import INGRESS_PORTS
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
_CGROUPS: Final = ("cpu", "memory", "pids")
# In a network namespace of its own, so that nothing is left of the trial.
_NETWORK_TRIAL: Final = (
    "ip link add b0 type bridge && ip link add v0 type veth peer name v1 && "
    "iptables -t nat -A POSTROUTING -m comment --comment trial -j MASQUERADE && "
    "iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT"
)
_POLICY_TRIAL: Final = (
    "nft add table inet t && nft 'add chain inet t c { type filter hook forward priority 0; }' && "
    "nft add rule inet t c ct state established accept"
)
_BRIDGED: Final = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def check(*, full: bool, running: bool) -> None:
    """Check a control plane's needs, or with `full` a node's too. `running`: one of our nodes runs,
    and rightly holds the node's ports.

    Raises:
        MissingPrerequisitesError: names everything that is missing, and the fix of each.
    """
    problems = [*_room(full=full)]
    if full:
        unfit = [*_root(), *_packages(missing_packages())]
        problems += unfit or [*_kernel()]
        problems += [] if running else [*_ports()]
    _refuse(problems)


def check_for_tools() -> None:
    """Check what compiling a single tool needs.

    Raises:
        MissingPrerequisitesError: names everything that is missing, and the fix of each.
    """
    _refuse([*_space(_cache(), _TOOL_GIB), *_access(_cache())])


def _refuse(problems: Iterable[str]) -> None:
    if lines := [*problems]:
        raise MissingPrerequisitesError("\n".join(("this machine lacks:", *lines)))


def missing_packages(names: Iterable[str] = tuple(DEBIAN_PACKAGES)) -> list[str]:
    return [name for name in names if not _present(name)]


def install(further: Iterable[str] = (), *, running: bool) -> None:
    """Install what is missing with apt-get, and `further` packages without what they recommend;
    never at the cost of a package that is there.

    Raises:
        MissingPrerequisitesError: a node would lack more than packages, or we are not root.
        CommandFailedError: apt-get failed; a retry helps when it was the network.
    """
    missing, others = missing_packages(), missing_packages(further)
    rootless = [*_root()]
    unmet = [*_packages(missing)] if rootless else []
    ports = [] if running else [*_ports()]
    _refuse([*_room(full=True), *rootless, *unmet, *ports])
    if missing or others:
        _apt("update", "-qq")
    if missing:
        _install(*missing)
    if others:
        _install("--no-install-recommends", *others)


def _install(*what: str) -> None:
    """The archives are kept in a folder of their own until the end: apt runs dpkg several times
    when it upgrades, and container images of Debian remove the usual folder's archives after each
    run."""
    with tempfile.TemporaryDirectory() as archives:
        kept = f"--option=Dir::Cache::archives={archives}"
        unsandboxed = "--option=APT::Sandbox::User=root"  # others may not enter that folder
        _apt("install", "-y", "-qq", "--no-remove", kept, unsandboxed, *what)


def _apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(["apt-get", *arguments], check=False, env=environment).returncode:
        raise CommandFailedError(f"apt-get {' '.join(arguments)} failed; see above")


def _root() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "  - root: a node makes networks and mounts; run this as root"


def _packages(missing: list[str]) -> Iterator[str]:
    for name in missing:
        yield f"  - {name}: {DEBIAN_PACKAGES[name].use}"
    if missing:
        yield f"    install them with: apt-get install -y --no-remove {' '.join(missing)}"


def _access(folders: Mapping[str, Path]) -> Iterator[str]:
    for variable, folder in folders.items():
        if not os.access(_existing(folder), os.W_OK | os.X_OK):
            yield (
                f"  - write access to {folder}: run this as root, or name another place in "
                f"{variable}"
            )


def _space(folders: Mapping[str, Path], needed_gib: int) -> Iterator[str]:
    for variable, folder in folders.items():
        free = shutil.disk_usage(_existing(folder)).free / _GIB
        if free < needed_gib:
            yield (
                f"  - disk space: {needed_gib} GiB for {folder}, where {free:.1f} GiB are free; "
                f"make room, or name another place in {variable}"
            )
            return


def _folders() -> dict[str, Path]:
    """Where we write, by the variable that moves it."""
    return {**_cache(), "LOCALCLUSTER_STATE": states_dir()}


def _cache() -> dict[str, Path]:
    return {"LOCALCLUSTER_CACHE": cache_dir()}


def _room(*, full: bool) -> Iterator[str]:
    needed = (_WARM_GIB if _warm(full=full) else _COLD_GIB)[full]
    yield from _space(_folders(), needed)
    yield from _access(_folders())


def _kernel() -> Iterator[str]:
    controllers = _controllers()
    for each in _CGROUPS:
        if each not in controllers:
            yield f"  - cgroup controller {each}: enable it (kernel parameter cgroup_enable={each})"
    if "overlay" not in Path("/proc/filesystems").read_text() and _fails(["modprobe", "overlay"]):
        yield "  - file system overlay: load it with: modprobe overlay"
    yield from _network()


def _network() -> Iterator[str]:
    said = _fails(["unshare", "--net", "sh", "-c", _NETWORK_TRIAL])
    if said:
        yield (
            f"  - bridges, veth pairs or netfilter's NAT: {said}; load them with: "
            "modprobe -a bridge veth nf_nat xt_MASQUERADE xt_comment xt_conntrack"
        )
    said = _fails(["unshare", "--net", "sh", "-c", _POLICY_TRIAL])
    if said:
        yield f"  - nf_tables: {said}; load it with: modprobe -a nf_tables nft_ct"
    if not _BRIDGED.exists() and _fails(["modprobe", "br_netfilter"]):
        yield "  - br_netfilter: policies between pods need it; load it with: modprobe br_netfilter"


def _controllers() -> set[str]:
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        return set(unified.read_text().split())
    lines = (line.split() for line in Path("/proc/cgroups").read_text().splitlines())
    return {line[0] for line in lines if line[-1] == "1"}


def _ports() -> Iterator[str]:
    for port in INGRESS_PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except PermissionError:
                return  # said already: root is missing
            except OSError:
                yield f"  - port {port}: another program listens there; end it (ss -ltnp shows it)"


def _fails(command: list[str]) -> str:
    """What a command said when it failed; nothing when it went well."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return (ran.stderr.strip() or f"exit code {ran.returncode}") if ran.returncode else ""


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _warm(*, full: bool) -> bool:
    """Whether what takes the most room is built already."""
    return binaries.kubernetes_built(full=full) and (not full or ollama.built())


def _present(package: str) -> bool:
    """By the file that we need of it, whoever brought it: Docker's containerd does as well."""
    known = DEBIAN_PACKAGES.get(package)
    if known is None:
        return _installed(package)
    return bool(shutil.which(known.proof)) or Path(known.proof).is_file()


def _installed(package: str) -> bool:
    ran = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout == "installed"
