"""What enforcement depends on, as plain data. No judgement lives here: `rules` and `evaluate` read
the policies' JSON independently of each other."""

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
    namespace: str
    name: str
    address: str
    labels: Mapping[str, str]
    ports: tuple[NamedPort, ...] = ()
    host_network: bool = False


@dataclass(frozen=True)
class Policy:
    """A networking.k8s.io/v1 NetworkPolicy, its spec as the API server gives it."""

    namespace: str
    name: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """`aliases` are programs on the node that stand for pods (the cluster's DNS): an address is
    theirs only at their named ports. `nodes` are the node's own addresses."""

    pods: tuple[Pod, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    policies: tuple[Policy, ...]
    aliases: tuple[Pod, ...] = ()
    nodes: tuple[str, ...] = ()


def cluster_dns(address: str) -> Pod:
    """The DNS server on the node, as policies know the cluster's DNS."""
    ports = (NamedPort("dns", 53, "UDP"), NamedPort("dns-tcp", 53, "TCP"))
    return Pod("kube-system", "dns-on-the-node", address, {"k8s-app": "kube-dns"}, ports)


def read(
    pods: Iterable[Json],
    namespaces: Iterable[Json],
    policies: Iterable[Json],
    *,
    aliases: tuple[Pod, ...] = (),
) -> State:
    """From the API's JSON, in an order of its own. Of two pods with one address (the old one is
    still going), the younger has it."""
    by_age = sorted(pods, key=lambda each: str(each["metadata"].get("creationTimestamp")))
    living = (read_pod(each) for each in by_age if _has_address(each))
    owners = {(p.address, p.name if p.host_network else ""): p for p in living}
    return State(
        pods=tuple(owners[key] for key in sorted(owners)),
        namespaces={
            each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces
        },
        policies=tuple(sorted(map(read_policy, policies), key=lambda p: (p.namespace, p.name))),
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
    """A pod that has ended keeps its address in its status, though another may have it now."""
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")
