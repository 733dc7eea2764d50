"""The node: containerd, kubelet, kube-proxy, DNS, volumes and the ingress controller.

The recipe's facts that are not obvious: Kubernetes 1.36 still runs on containerd 1.6; on cgroup v1
the kubelet must be told so; a machine without CAP_SYS_RESOURCE needs `restrict_oom_score_adj`.
"""

import ipaddress
import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from localcluster.controlplane import SERVICE_RANGE
from localcluster.errors import CommandFailedError
from localcluster.netpol.rules import TABLE as POLICY_TABLE
from localcluster.paths import cache_dir
from localcluster.registry import authority
from localcluster.state import Cluster

BRIDGE: Final = "localcluster0"
GATEWAY: Final = "10.244.0.1"
POD_RANGE: Final = "10.244.0.0/24"
CLUSTER_DNS: Final = "10.96.0.10"
REGISTRY: Final = "192.0.2.10"  # TEST-NET-1: outside the cluster's ranges, as a real registry is
REGISTRY_NAMES: Final = ("registry.ollama.ai", "blobs.registry.localcluster.test")
INGRESS_NAMES: Final = ("*.aichat.localhost", "localhost", "127.0.0.1")
NODE: Final = "node"
STORAGE_CLASS: Final = "localcluster"
STORAGE_PROVISIONER: Final = "localcluster/folder"
IMAGE_STORE: Final = cache_dir() / "containerd"  # kept, so that a start loads only what is new
_TABLE: Final = "localcluster"
# A service's address that kube-proxy has no rule for, yet or any more, would be looked for outside,
# and a connection to whoever answers there would be kept.
_SERVICES_END_HERE: Final = f"""
table ip {_TABLE} {{
    chain forward {{
        type filter hook forward priority filter; policy accept;
        ip daddr {SERVICE_RANGE} meta l4proto tcp reject with tcp reset
        ip daddr {SERVICE_RANGE} reject
    }}
}}
"""
_DNS_PORTS: Final = [
    {"name": "dns", "port": 53, "protocol": "UDP"},
    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
]


@dataclass(frozen=True)
class Layout:
    """Where the node keeps its files."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        return self.folder / "kubelet"

    @property
    def volumes(self) -> Path:
        return self.folder / "volumes"


def add_bridge() -> None:
    """The pods' network, made before anything listens on its address."""
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{GATEWAY}/{ipaddress.ip_network(POD_RANGE).prefixlen}", "dev", BRIDGE)
    _ip("addr", "add", f"{REGISTRY}/32", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    for setting in ("ip_forward", f"conf/{BRIDGE}/route_localnet"):
        Path("/proc/sys/net/ipv4", setting).write_text("1")

    subprocess.run(["nft", "-f", "-"], input=_SERVICES_END_HERE, text=True, check=True)


def remove_bridge() -> None:
    for command in (
        ["ip", "link", "delete", BRIDGE],
        ["nft", "delete", "table", "ip", _TABLE],
        ["nft", "delete", "table", "inet", POLICY_TABLE],
    ):
        subprocess.run(command, capture_output=True, check=False)


def write_files(cluster: Cluster, sandbox_image: str) -> Layout:
    """Every component's configuration."""
    layout = Layout(cluster.folder / "node")
    for folder in (IMAGE_STORE, layout.kubelet, layout.volumes, layout.folder / "cni"):
        folder.mkdir(parents=True, exist_ok=True)
    (layout.folder / "containerd.toml").write_text(_containerd(layout, sandbox_image))
    (layout.folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_cni(layout)))
    _write(layout.folder / "kubelet.yaml", _kubelet(cluster, layout))
    _write(layout.folder / "kube-proxy.yaml", _kube_proxy(cluster))
    (layout.folder / "Corefile").write_text(_corefile(cluster))
    _write(layout.folder / "traefik.yaml", _traefik(layout))
    return layout


def commands(cluster: Cluster, layout: Layout, programs: Path) -> dict[str, Sequence[str | Path]]:
    """What starts once containerd has the images, in this order."""
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
            "--entrypoints.web.address=:80",
            "--entrypoints.websecure.address=127.0.0.1:443",  # the registry has 443 elsewhere
            "--entrypoints.websecure.http.tls=true",
            f"--providers.file.filename={layout.folder / 'traefik.yaml'}",
            f"--providers.kubernetesingress.endpoint={cluster.server}",
            f"--providers.kubernetesingress.token={cluster.token}",
            f"--providers.kubernetesingress.certauthfilepath={cluster.ca_file}",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ],
    }


def services(cluster: Cluster, layout: Layout, coredns: Path) -> dict[str, Sequence[str | Path]]:
    """What pods need around them: names, models to download, volumes, a container runtime."""
    names = list(REGISTRY_NAMES)
    certificate = authority.issue(authority.ensure(), layout.folder / "registry-pki", names)
    python: list[str | Path] = [sys.executable, "-m"]
    return {
        "coredns": [coredns, "-conf", layout.folder / "Corefile"],
        "registry": [
            *(*python, "localcluster.registry", "--listen", f"{REGISTRY}:443"),
            *("--certificate", certificate.certificate, "--key", certificate.key),
            *("--data", layout.folder / "registry"),
        ],
        "storage": [
            *(*python, "localcluster.storage", "--kubeconfig", cluster.kubeconfig),
            *("--folder", layout.volumes),
        ],
        "netpol": [
            *(*python, "localcluster.netpol", "--kubeconfig", cluster.kubeconfig),
            *("--bridge", BRIDGE, "--dns", GATEWAY),
        ],
        "containerd": ["containerd", f"--config={layout.folder / 'containerd.toml'}"],
    }


def images(cluster: Cluster) -> dict[str, str]:
    """The digests of containerd's images by their names."""
    lines = _ctr(cluster, "images", "list").stdout.splitlines()[1:]
    return {name: digest for name, _, digest, *_ in map(str.split, lines)}


def load_image(cluster: Cluster, archive: Path) -> None:
    """Give containerd an image."""
    _ctr(cluster, "images", "import", "--digests", str(archive), check=True)


def tag_image(cluster: Cluster, image: str, further: str) -> None:
    _ctr(cluster, "images", "tag", "--force", image, further, check=True)


def await_containerd(cluster: Cluster) -> None:
    """Raises CommandFailedError when it does not answer within ten seconds."""
    for _ in range(100):
        if _ctr(cluster, "version").returncode == 0:
            return
        time.sleep(0.1)
    raise CommandFailedError(f"containerd does not answer; see {cluster.folder}/logs")


def containers(cluster: Cluster) -> list[str]:
    return _ctr(cluster, "containers", "list", "-q").stdout.split()


def remove_containers(cluster: Cluster) -> None:
    """By force, what an orderly removal has left."""
    for each in containers(cluster):
        _ctr(cluster, "tasks", "delete", "--force", each)
        _ctr(cluster, "containers", "delete", each)


def unmount(folder: Path) -> None:
    """Every mount below a folder, the deepest first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for each in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", each], capture_output=True, check=False)


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


def _containerd(layout: Layout, sandbox_image: str) -> str:
    return f"""version = 2
root = "{IMAGE_STORE}"
state = "{layout.folder / "containerd"}"
[grpc]
  address = "{layout.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox_image}"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{layout.folder / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def _cni(layout: Layout) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": "localcluster",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(layout.folder / "leases"),
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet(cluster: Cluster, layout: Layout) -> dict[str, Any]:
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": GATEWAY,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(cluster.kubelet_client_authority)},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [CLUSTER_DNS],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "registerNode": True,
        **({} if unified else {"failCgroupV1": False, "cgroupDriver": "cgroupfs"}),
    }


def _kube_proxy(cluster: Cluster) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(cluster.kubeconfig)},
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": NODE,
        "mode": "iptables",
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _corefile(cluster: Cluster) -> str:
    return f""".:53 {{
    bind {GATEWAY}
    errors
    hosts {{
        {REGISTRY} {" ".join(REGISTRY_NAMES)}
        fallthrough
    }}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {cluster.kubeconfig}
        pods insecure
    }}
    cache 5
}}
"""


def _traefik(layout: Layout) -> dict[str, Any]:
    """The certificate of every host, by this machine's own authority."""
    pair = authority.issue(authority.ensure(), layout.folder / "ingress-pki", INGRESS_NAMES)
    default = {"certFile": str(pair.certificate), "keyFile": str(pair.key)}
    return {"tls": {"stores": {"default": {"defaultCertificate": default}}}}


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


ADDONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": STORAGE_PROVISIONER,
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {
            "name": "traefik",
            "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
        },
        "spec": {"controller": "traefik.io/ingress-controller"},
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system"},
        "spec": {"clusterIP": CLUSTER_DNS, "ports": _DNS_PORTS},
    },
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": "kube-dns"},
        },
        "addressType": "IPv4",
        "ports": _DNS_PORTS,
        "endpoints": [{"addresses": [GATEWAY]}],
    },
)
