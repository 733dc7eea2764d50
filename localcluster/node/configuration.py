"""Write the configuration files of the node's components.

Two settings are not obvious: on cgroup v1 the kubelet needs `failCgroupV1: false`, and a machine
without CAP_SYS_RESOURCE needs `restrict_oom_score_adj`. containerd trusts this machine's authority
for all registries, so that a test can run one.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from localcluster import certificates
from localcluster.node.layout import (
    BRIDGE,
    CGROUP_CONTROLLERS,
    CLUSTER_DNS,
    GATEWAY,
    IMAGE_STORE,
    INGRESS_NAMES,
    NETWORK,
    NODE,
    POD_RANGE,
    REGISTRY,
    REGISTRY_NAMES,
    Layout,
)
from localcluster.state import Cluster


def write_files(cluster: Cluster, sandbox_image: str) -> Layout:
    """Write the configuration of all components and return where the node's files are."""
    layout = Layout(cluster.folder / "node")
    for folder in (IMAGE_STORE, layout.kubelet, layout.volumes, layout.folder / "cni"):
        folder.mkdir(parents=True, exist_ok=True)
    (layout.folder / "containerd.toml").write_text(_containerd(layout, sandbox_image))
    # Debian's containerd 1.6 ignores `ca` in a hosts.toml and trusts each .crt beside it.
    trusted = layout.folder / "registries" / "_default"
    trusted.mkdir(parents=True, exist_ok=True)
    shutil.copy(certificates.ensure().certificate, trusted / "ca.crt")
    (layout.folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_cni(layout)))
    _write(layout.folder / "kubelet.yaml", _kubelet(cluster, layout))
    _write(layout.folder / "kube-proxy.yaml", _kube_proxy(cluster))
    (layout.folder / "Corefile").write_text(_corefile(cluster))
    _write(layout.folder / "traefik.yaml", _traefik(layout))
    return layout


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
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{layout.folder / "registries"}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def _cni(layout: Layout) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": NETWORK,
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
    is_cgroup_v2 = CGROUP_CONTROLLERS.exists()
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
        **({} if is_cgroup_v2 else {"failCgroupV1": False, "cgroupDriver": "cgroupfs"}),
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
    """Issue one certificate for all hosts by this machine's authority."""
    pair = certificates.issue(certificates.ensure(), layout.folder / "ingress-pki", INGRESS_NAMES)
    default = {"certFile": str(pair.certificate), "keyFile": str(pair.key)}
    return {"tls": {"stores": {"default": {"defaultCertificate": default}}}}


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document))
