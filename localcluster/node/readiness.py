"""Wait until DNS, the registry, network policies and the ingress of a node work."""

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
    """Wait until these services work, and check that no other component has ended.

    Raises:
        CommandFailedError: one does not in time, or has ended; the message has the end of its log.
    """
    for component, is_ready in _probes().items():
        report("node", f"waiting for {component}")
        await_component(cluster, component, is_ready)


def _probes() -> Mapping[str, Callable[[], bool]]:
    return {
        "coredns": lambda: has_address(GATEWAY, _KNOWN_NAME),
        "kube-proxy": lambda: has_address(CLUSTER_DNS, _KNOWN_NAME),
        "registry": lambda: is_listening(REGISTRY, 443),
        "netpol": _has_policy_table,
        "traefik": lambda: all(is_listening("127.0.0.1", port) for port in INGRESS_PORTS),
    }


def is_listening(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=_TRY_SECONDS):
        return True
    return False


def has_address(server: str, name: str, port: int = 53) -> bool:
    """Ask a DNS server for the address of a name (RFC 1035, section 4.1)."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    header = b"\x10\xc1\x01\0\0\x01" + bytes(6)
    with suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as connection:
        connection.settimeout(_TRY_SECONDS)
        connection.connect((server, port))
        connection.send(header + labels + b"\0" + _ADDRESS_QUESTION)
        answer = connection.recv(512)
        flags, count = (int.from_bytes(answer[start : start + 2], "big") for start in (2, 6))
        return flags & 0x800F == _ANSWER_WITHOUT_ERROR and count > 0
    return False


def _has_policy_table() -> bool:
    result = subprocess.run(
        ["nft", "list", "table", "inet", POLICY_TABLE], capture_output=True, check=False
    )
    return result.returncode == 0
