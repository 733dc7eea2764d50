"""The node's addresses, names and files, and the kernel files that several modules read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.paths import cache_dir

BRIDGE: Final = "localcluster0"
NETWORK: Final = "localcluster"  # as the network plugins know it
INGRESS_PORTS: Final = (80, 443)
GATEWAY: Final = "10.244.0.1"
POD_RANGE: Final = "10.244.0.0/24"
CLUSTER_DNS: Final = "10.96.0.10"
REGISTRY: Final = "192.0.2.10"  # TEST-NET-1: outside the cluster's ranges, as a real registry is
REGISTRY_NAMES: Final = ("registry.ollama.ai", "blobs.registry.localcluster.test")
INGRESS_NAMES: Final = ("*.aichat.localhost", "localhost", "127.0.0.1")
NODE: Final = "node"
STORAGE_CLASS: Final = "localcluster"
STORAGE_PROVISIONER: Final = "localcluster/folder"
BRIDGE_FILTER: Final = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
CGROUP_CONTROLLERS: Final = Path("/sys/fs/cgroup/cgroup.controllers")  # only on cgroup v2
IMAGE_STORE: Final = cache_dir() / "containerd"  # stays, so that a start loads only new images


@dataclass(frozen=True)
class Layout:
    """The node's files."""

    folder: Path
    """The folder that has all of them."""

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        return self.folder / "kubelet"

    @property
    def volumes(self) -> Path:
        return self.folder / "volumes"
