"""Whether what runs beside the control plane does its work."""

import socket
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from localcluster.node.control_plane import await_component
from localcluster.node.layout import CLUSTER_DNS, GATEWAY, INGRESS_PORTS, REGISTRY
from localcluster.node.netpol.rules import TABLE as POLICY_TABLE
from localcluster.progress import Report
from localcluster.state import Cluster

_TRY_SECONDS: Final = 1.0
_KNOWN_NAME: Final = "kubernetes.default.svc.cluster.local"
_ADDRESS_QUESTION: Final = b"\0\x01\0\x01"  # type A, class IN
_ANSWER_WITHOUT_ERROR: Final = 0x8000


def await_services(cluster: Cluster, report: Report) -> None:
    """Wait until DNS, registry, policies and ingress work, and no other part has ended.

    Raises:
        CommandFailedError: one does not within a minute, or has ended; with the end of its log.
    """
    for component, is_ready in _probes().items():
        report("node", f"waiting for {component}")
        await_component(cluster, component, is_ready)


def _probes() -> Mapping[str, Callable[[], bool]]:
    return {
        "coredns": lambda: resolves(GATEWAY, _KNOWN_NAME),
        "kube-proxy": lambda: resolves(CLUSTER_DNS, _KNOWN_NAME),
        "registry": lambda: listens(REGISTRY, 443),
        "netpol": _policies_are_in_force,
        "traefik": lambda: all(listens("127.0.0.1", port) for port in INGRESS_PORTS),
    }


def listens(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=_TRY_SECONDS):
        return True
    return False


def resolves(server: str, name: str, port: int = 53) -> bool:
    """Whether a DNS server has an address for a name (RFC 1035, section 4.1)."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    header = b"\x10\xc1\x01\0\0\x01" + bytes(6)
    with suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(_TRY_SECONDS)
        asking.connect((server, port))
        asking.send(header + labels + b"\0" + _ADDRESS_QUESTION)
        answer = asking.recv(512)
        flags, answers = (int.from_bytes(answer[at : at + 2], "big") for at in (2, 6))
        return flags & 0x800F == _ANSWER_WITHOUT_ERROR and answers > 0
    return False


def _policies_are_in_force() -> bool:
    found = subprocess.run(
        ["nft", "list", "table", "inet", POLICY_TABLE], capture_output=True, check=False
    )
    return found.returncode == 0
