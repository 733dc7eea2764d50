"""Run the node's components: containerd, kubelet, kube-proxy, DNS, volumes and ingress.

Kubernetes 1.36 still runs on containerd 1.6.
"""

import ipaddress
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from localcluster import certificates
from localcluster.errors import CommandFailedError
from localcluster.node.control_plane import SERVICE_RANGE
from localcluster.node.layout import (
    BRIDGE,
    GATEWAY,
    NODE,
    POD_RANGE,
    REGISTRY,
    REGISTRY_NAMES,
    Layout,
)
from localcluster.node.netpol.rules import TABLE as POLICY_TABLE
from localcluster.state import Cluster

_TABLE: Final = "localcluster"
# https://docs.kernel.org/networking/ip-sysctl.html; there is none where the machine has no IPv6.
_ADDRESS_MODE: Final = Path("/proc/sys/net/ipv6/conf/default/addr_gen_mode")
_NO_ADDRESS: Final = "1"
# Without a rule of kube-proxy, packets to a service's address would leave this machine, and a
# connection to a host that answers there would stay.
_REJECT_SERVICE_RANGE: Final = f"""
table ip {_TABLE} {{
    chain forward {{
        type filter hook forward priority filter; policy accept;
        ip daddr {SERVICE_RANGE} meta l4proto tcp reject with tcp reset
        ip daddr {SERVICE_RANGE} reject
    }}
}}
"""


def add_bridge() -> None:
    """Make the pods' network, before anything listens on its address.

    The machine's ends of it get no IPv6 addresses: a browser on the machine cancels its downloads
    with each address that is added or removed (ERR_NETWORK_CHANGED).
    """
    if _ADDRESS_MODE.exists():
        _ADDRESS_MODE.write_text(_NO_ADDRESS)
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{GATEWAY}/{ipaddress.ip_network(POD_RANGE).prefixlen}", "dev", BRIDGE)
    _ip("addr", "add", f"{REGISTRY}/32", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    for setting in ("ip_forward", f"conf/{BRIDGE}/route_localnet"):
        Path("/proc/sys/net/ipv4", setting).write_text("1")

    subprocess.run(["nft", "-f", "-"], input=_REJECT_SERVICE_RANGE, text=True, check=True)


def remove_bridge() -> None:
    for command in (
        ["ip", "link", "delete", BRIDGE],
        ["nft", "delete", "table", "ip", _TABLE],
        ["nft", "delete", "table", "inet", POLICY_TABLE],
    ):
        subprocess.run(command, capture_output=True, check=False)


def commands(cluster: Cluster, layout: Layout, programs: Path) -> dict[str, Sequence[str | Path]]:
    """Return the commands of the components that need containerd's images, in starting order."""
    return {
        "kube-scheduler": [
            programs / "kube-scheduler",
            f"--kubeconfig={cluster.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
        ],
        "kubelet": [
            programs / "kubelet",
            f"--config={layout.folder / 'kubelet.yaml'}",
            f"--kubeconfig={cluster.kubeconfig}",
            f"--root-dir={layout.kubelet}",
            f"--hostname-override={NODE}",
            f"--node-ip={GATEWAY}",
            f"--cert-dir={layout.folder / 'kubelet-pki'}",
        ],
        "kube-proxy": [programs / "kube-proxy", f"--config={layout.folder / 'kube-proxy.yaml'}"],
        "traefik": [
            Path(sysconfig.get_path("scripts")) / "traefik",
            # On loopback only, as the administrators' passwords of demo chats are public; the
            # registry has port 443 of another address.
            "--entrypoints.web.address=127.0.0.1:80",
            "--entrypoints.websecure.address=127.0.0.1:443",
            "--entrypoints.websecure.http.tls=true",
            f"--providers.file.filename={layout.folder / 'traefik.yaml'}",
            f"--providers.kubernetesingress.endpoint={cluster.server}",
            f"--providers.kubernetesingress.token={cluster.token}",
            f"--providers.kubernetesingress.certauthfilepath={cluster.ca_file}",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ],
    }


def registry(layout: Layout, models: Path) -> Sequence[str | Path]:
    """Return the command of the model registry."""
    names = list(REGISTRY_NAMES)
    certificate = certificates.issue(certificates.ensure(), layout.folder / "registry-pki", names)
    return [
        *(sys.executable, "-m", "localcluster.registry", "--listen", f"{REGISTRY}:443"),
        *("--certificate", certificate.certificate, "--key", certificate.key),
        *("--data", layout.folder / "registry", "--models", models),
    ]


def services(cluster: Cluster, layout: Layout, coredns: Path) -> dict[str, Sequence[str | Path]]:
    """Return the commands of DNS, volumes, network policies and containerd."""
    python: list[str | Path] = [sys.executable, "-m"]
    return {
        "coredns": [coredns, "-conf", layout.folder / "Corefile"],
        "storage": [
            *(*python, "localcluster.node.storage", "--kubeconfig", cluster.kubeconfig),
            *("--folder", layout.volumes),
        ],
        "netpol": [
            *(*python, "localcluster.node.netpol", "--kubeconfig", cluster.kubeconfig),
            *("--bridge", BRIDGE, "--dns", GATEWAY),
        ],
        "containerd": ["containerd", f"--config={layout.folder / 'containerd.toml'}"],
    }


def images(cluster: Cluster) -> dict[str, str]:
    """Return the digests of containerd's images by their names."""
    lines = _ctr(cluster, "images", "list").stdout.splitlines()[1:]
    return {name: digest for name, _, digest, *_ in map(str.split, lines)}


def load_image(cluster: Cluster, archive: Path) -> None:
    """Give containerd an image."""
    _ctr(cluster, "images", "import", "--digests", str(archive), check=True)


def tag_image(cluster: Cluster, image: str, further: str) -> None:
    _ctr(cluster, "images", "tag", "--force", image, further, check=True)


def await_containerd(cluster: Cluster) -> None:
    """Wait until containerd answers.

    Raises:
        CommandFailedError: it does not within ten seconds.
    """
    for _ in range(100):
        if _ctr(cluster, "version").returncode == 0:
            return
        time.sleep(0.1)
    raise CommandFailedError(f"containerd does not answer; see {cluster.folder}/logs")


def containers(cluster: Cluster) -> list[str]:
    return _ctr(cluster, "containers", "list", "-q").stdout.split()


def has_running_containers(cluster: Cluster) -> bool:
    """Ignore ended containers: the kubelet removes them minutes after their pods."""
    tasks = _ctr(cluster, "tasks", "list").stdout.splitlines()[1:]
    return any(task.split()[-1] == "RUNNING" for task in tasks)


def remove_containers(cluster: Cluster) -> None:
    """Remove all containers by force."""
    for container in containers(cluster):
        _ctr(cluster, "tasks", "delete", "--force", container)
        _ctr(cluster, "containers", "delete", container)


def unmount(folder: Path) -> None:
    """Unmount everything below a folder, the deepest first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((path for path in mounts if path.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)


def _ctr(
    cluster: Cluster, *arguments: str, check: bool = False
) -> "subprocess.CompletedProcess[str]":
    socket = Layout(cluster.folder / "node").socket
    return subprocess.run(
        ["ctr", f"--address={socket}", "--namespace=k8s.io", *arguments],
        capture_output=True,
        text=True,
        check=check,
    )


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
