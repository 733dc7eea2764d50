"""Pods, namespaces and policies as plain data.

The policies' specs stay JSON: `rules` and `evaluate` read them independently of each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class NamedPort:
    """A container's port that has a name."""

    name: str
    number: int
    protocol: str = "TCP"


@dataclass(frozen=True)
class Pod:
    """A pod as policies see it."""

    namespace: str
    name: str
    address: str
    """Its IPv4 address."""
    labels: Mapping[str, str]
    ports: tuple[NamedPort, ...] = ()
    """Its containers' ports that have names."""
    host_network: bool = False
    """Whether it has the node's network and address."""


@dataclass(frozen=True)
class Policy:
    """A networking.k8s.io/v1 NetworkPolicy."""

    namespace: str
    name: str
    spec: Mapping[str, Any]
    """Its spec as the API server returns it."""


@dataclass(frozen=True)
class State:
    """All that the rules depend on."""

    pods: tuple[Pod, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    """The namespaces' labels by their names."""
    policies: tuple[Policy, ...]
    aliases: tuple[Pod, ...] = ()
    """Programs on the node that stand for pods (the cluster's DNS), at their named ports only."""
    nodes: tuple[str, ...] = ()
    """The node's own addresses."""


def cluster_dns(address: str) -> Pod:
    """Return the DNS server on the node as the pod that policies name."""
    ports = (NamedPort("dns", 53, "UDP"), NamedPort("dns-tcp", 53, "TCP"))
    return Pod("kube-system", "dns-on-the-node", address, {"k8s-app": "kube-dns"}, ports)


def read(
    pods: Iterable[Json],
    namespaces: Iterable[Json],
    policies: Iterable[Json],
    *,
    aliases: tuple[Pod, ...] = (),
) -> State:
    """Read the API's JSON into a state whose order does not depend on the API's.

    Of two pods with one address, of which the older is still ending, the younger has it.
    """
    by_age = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
    live_pods = (read_pod(pod) for pod in by_age if _has_address(pod))
    owners = {(pod.address, pod.name if pod.host_network else ""): pod for pod in live_pods}
    return State(
        pods=tuple(owners[key] for key in sorted(owners)),
        namespaces={
            namespace["metadata"]["name"]: namespace["metadata"].get("labels") or {}
            for namespace in namespaces
        },
        policies=tuple(
            sorted(map(read_policy, policies), key=lambda policy: (policy.namespace, policy.name))
        ),
        aliases=aliases,
    )


def read_pod(pod: Json) -> Pod:
    spec, metadata = pod["spec"], pod["metadata"]
    containers = (*spec["containers"], *(spec.get("initContainers") or ()))
    return Pod(
        metadata["namespace"],
        metadata["name"],
        pod["status"]["podIP"],
        metadata.get("labels") or {},
        tuple(
            NamedPort(port["name"], port["containerPort"], port.get("protocol") or "TCP")
            for container in containers
            for port in container.get("ports") or ()
            if port.get("name")
        ),
        bool(spec.get("hostNetwork")),
    )


def read_policy(policy: Json) -> Policy:
    metadata = policy["metadata"]
    return Policy(metadata["namespace"], metadata["name"], policy["spec"])


def _has_address(pod: Json) -> bool:
    """Leave out ended pods: their status keeps an address that another pod may have now."""
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")
