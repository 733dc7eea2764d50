"""Simulated nodes: the real scheduler, and KWOK in place of kubelets.

Pods become Ready, and nothing runs. https://kwok.sigs.k8s.io
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from localcluster import state
from localcluster.build import binaries
from localcluster.ports import free_ports
from localcluster.processes.background import start
from localcluster.progress import Report
from localcluster.state import Cluster

NODES: Final = 5
# Each node has room for everything: what is measured is who makes pods, not where they fit.
_ROOM: Final = {"cpu": "100k", "memory": "1Pi", "pods": "100k", "ephemeral-storage": "1Pi"}
_NODE_READY: Final = """
conditions:
{{ range NodeConditions }}
- {lastHeartbeatTime: {{ Now | Quote }}, lastTransitionTime: {{ Now | Quote }},
   message: {{ .message | Quote }}, reason: {{ .reason | Quote }},
   status: {{ .status | Quote }}, type: {{ .type | Quote }}}
{{ end }}
phase: Running
"""
_POD_READY: Final = """
{{ $now := Now }}
conditions:
- {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Initialized}
- {lastTransitionTime: {{ $now | Quote }}, status: "True", type: ContainersReady}
- {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Ready}
initContainerStatuses:
{{ range .spec.initContainers }}
- {image: {{ .image | Quote }}, name: {{ .name | Quote }}, ready: true, restartCount: 0,
   state: {terminated: {exitCode: 0, finishedAt: {{ $now | Quote }}, reason: Completed}}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- {image: {{ .image | Quote }}, name: {{ .name | Quote }}, ready: true, restartCount: 0,
   started: true, state: {running: {startedAt: {{ $now | Quote }}}}}
{{ end }}
phase: Running
startTime: {{ $now | Quote }}
"""


def start_nodes(cluster: Cluster, programs: Path, address: str, report: Report) -> Cluster:
    """Start the scheduler and KWOK beside a control plane. All pods have this one address, where
    something may answer for them; the API server refuses to reach a loopback one.

    Raises:
        CommandFailedError: KWOK could not be built or started.
    """
    kwok = binaries.ensure(binaries.KWOK, report) / "kwok"
    config = cluster.folder / "kwok.yaml"
    config.write_text(yaml.safe_dump_all(stages(address)))
    scheduler_port, kwok_port = free_ports(2)
    commands: dict[str, list[str | Path]] = {
        "kube-scheduler": [
            programs / "kube-scheduler",
            f"--kubeconfig={cluster.kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={scheduler_port}",
            f"--cert-dir={cluster.folder / 'pki' / 'kube-scheduler'}",
            "--leader-elect=false",
            "--kube-api-qps=1000",  # else fifty pods a second are the limit of everything
            "--kube-api-burst=1000",
        ],
        "kwok": [
            kwok,
            f"--kubeconfig={cluster.kubeconfig}",
            f"--config={config}",
            "--manage-all-nodes",
            "--node-lease-duration-seconds=40",  # else nodes are lost after as long
            f"--server-address=127.0.0.1:{kwok_port}",
        ],
    }
    report("nodes", f"starting {NODES} simulated ones")
    for component, command in commands.items():
        log = cluster.folder / "logs" / f"{component}.log"
        cluster = state.add(cluster, start(component, command, log))
    return cluster


def nodes() -> list[dict[str, Any]]:
    """The nodes to create. KWOK keeps the room that they say they have."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"kwok-{number}",
                "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": f"kwok-{number}"},
            },
            "status": {"allocatable": _ROOM, "capacity": _ROOM},
        }
        for number in range(NODES)
    ]


def stages(address: str) -> list[Mapping[str, Any]]:
    """KWOK's configuration: what happens to a node, and to a pod that begins or ends."""
    not_ready = {
        "key": '.status.conditions.[] | select( .type == "Ready" ) | .status',
        "operator": "NotIn",
        "values": ["True"],
    }
    going = ".metadata.deletionTimestamp"
    pod_status = f"{_POD_READY}podIP: {address}\npodIPs: [{{ip: {address}}}]\n"
    return [
        _stage("node-ready", "Node", [not_ready], {"statusTemplate": _NODE_READY}),
        _stage(
            "pod-ready",
            "Pod",
            [{"key": going, "operator": "DoesNotExist"}, not_ready],
            {"statusTemplate": pod_status},
        ),
        _stage("pod-delete", "Pod", [{"key": going, "operator": "Exists"}], {"delete": True}),
    ]


def _stage(
    name: str, kind: str, conditions: list[dict[str, Any]], then: Mapping[str, Any]
) -> Mapping[str, Any]:
    """https://kwok.sigs.k8s.io/docs/user/stages-configuration/"""
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": conditions},
            "next": dict(then),
        },
    }
