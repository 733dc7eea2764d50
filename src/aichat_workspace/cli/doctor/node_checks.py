"""Checks of nodes and images: whether a workspace has room on a node, and whether pods can pull."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from aichat_workspace.cli.doctor.finding import Category, Finding, Severity, fix_of
from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.render.words import count
from aichat_workspace.cli.server.kubectl import Kubectl
from aichat_workspace.domain import default_shares, names, versions
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.foundation.image_names import DOCKER_HUB, mirrored, parse_image

Json = Mapping[str, Any]
_ROOM: Final = "AC507"
_PULLS: Final = "AC508"
_IMAGES: Final = "AC509"
_REGISTRY: Final = "AC510"
_FAILED_PULLS: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)
_DOCKER_HUB_HOST: Final = "registry-1.docker.io"
"""Where the images of docker.io are."""
_MAX_PODS: Final = 5
"""Pods that are named, and not only counted."""


def check(kubectl: Kubectl, *, is_installed: bool) -> Iterator[Finding]:
    """Yield the findings. Before installation the platform's settings are the defaults."""
    settings: Json = {}
    try:
        nodes = kubectl.get("the nodes were not read", "nodes")["items"]
        if is_installed:
            what = "the platform's settings were not read"
            platforms = kubectl.get(what, "aichatplatforms")["items"]
            settings = (platforms[0].get("spec") or {}) if platforms else {}
    except CliError as error:
        text = f"{error.what}: {'; '.join(error.why)}"
        yield _finding(_ROOM, Severity.NOTE, text, fix_of(error, "kubectl cluster-info"))
        return
    yield room(nodes, settings)
    images = images_of(settings)
    yield from (presence(image, nodes) for image in images)
    absent = [image for image in images if not _is_everywhere(image, nodes)]
    yield from (registry(host) for host in sorted({registry_host(image) for image in absent}))
    if is_installed:
        yield from _pods(kubectl)


def _finding(code: str, severity: Severity, text: str, fix: str = "") -> Finding:
    return Finding(code, Category.CLUSTER, severity, text, fix)


def room(nodes: Sequence[Json], settings: Json) -> Finding:
    """Return whether some node has room for the pods of a workspace that sets nothing.

    What other pods ask for does not count: they come and go.
    """
    open_nodes = [node for node in nodes if _takes_pods(node)]
    if not open_nodes:
        text = f"none of {count(len(nodes), 'node')} takes pods"
        return _finding(_ROOM, Severity.PROBLEM, text, "kubectl get nodes; kubectl uncordon NODE")
    ollama, chat = settings.get("ollama") or {}, settings.get("openWebUI") or {}
    limit = ollama.get("memoryLimit", default_shares.OLLAMA_MEMORY_LIMIT)
    pods = {
        "model server": (
            ollama.get("cpuRequest", default_shares.OLLAMA_CPU_REQUEST),
            ollama.get("memoryRequest", default_shares.OLLAMA_MEMORY_REQUEST),
        ),
        "chat": (
            chat.get("cpuRequest", default_shares.OPEN_WEBUI_CPU_REQUEST),
            chat.get("memoryRequest", default_shares.OPEN_WEBUI_MEMORY_REQUEST),
        ),
    }
    for pod, (cpu, memory) in pods.items():
        if not any(
            _amount(node, "cpu") >= quantity.parse(cpu)
            and _amount(node, "memory") >= quantity.parse(memory)
            for node in open_nodes
        ):
            text = f"no node has the {cpu} CPU and {memory} that a workspace's {pod} asks for"
            fix = "add a larger node, or lower the requests in the AIChatPlatform"
            return _finding(_ROOM, Severity.PROBLEM, text, fix)
    largest = max(_amount(node, "memory") for node in open_nodes)
    if largest < quantity.parse(limit):
        text = (
            f"no node has the {limit} of memory that a model server may use: a large model would "
            "be ended"
        )
        fix = "add a larger node, or lower spec.ollama.memoryLimit of the AIChatPlatform"
        return _finding(_ROOM, Severity.NOTE, text, fix)
    text = f"{count(len(open_nodes), 'node')} for pods, with room for a new workspace when empty"
    return _finding(_ROOM, Severity.GOOD, text)


def _takes_pods(node: Json) -> bool:
    spec = node.get("spec") or {}
    taints = {taint.get("effect") for taint in spec.get("taints") or ()}
    is_closed = spec.get("unschedulable") or taints & {"NoSchedule", "NoExecute"}
    conditions = (node.get("status") or {}).get("conditions") or ()
    is_ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    return is_ready and not is_closed


def _amount(node: Json, resource: str) -> Fraction:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return quantity.parse(allocatable.get(resource, "0"))


def images_of(settings: Json) -> tuple[str, str]:
    """Return the model server's and the chat's images, from the mirror where there is one."""
    images = settings.get("images") or {}
    mirror = str(images.get("mirror") or "")
    return (
        mirrored(str(images.get("ollama") or versions.OLLAMA_IMAGE), mirror),
        mirrored(str(images.get("openWebUI") or versions.OPEN_WEBUI_IMAGE), mirror),
    )


def presence(image: str, nodes: Sequence[Json]) -> Finding:
    """Return how many nodes have an image already, as far as they tell: they name their fifty
    largest (https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/)."""
    number = sum(_has_image(node, image) for node in nodes)
    if number:
        text = f"{image} is on {number} of {count(len(nodes), 'node')}"
        return _finding(_IMAGES, Severity.GOOD, text)
    text = f"{image} is on no node yet: the first workspace waits for its download"
    fix = f"let a node pull it before, or name a mirror of {registry_host(image)} that is near"
    return _finding(_IMAGES, Severity.NOTE, text, fix)


def _has_image(node: Json, image: str) -> bool:
    entries = (node.get("status") or {}).get("images") or ()
    present = {parse_image(name) for entry in entries for name in entry.get("names") or ()}
    return parse_image(image) in present


def _is_everywhere(image: str, nodes: Sequence[Json]) -> bool:
    return bool(nodes) and all(_has_image(node, image) for node in nodes)


def registry_host(image: str) -> str:
    """Return the host, without port or path, from which nodes pull an image."""
    host = parse_image(image).registry.partition("/")[0]
    return _DOCKER_HUB_HOST if host == DOCKER_HUB else host.partition(":")[0]


def registry(host: str) -> Finding:
    """Return whether a registry's name resolves here; the nodes' own answer may be another."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:  # a label may be too long for the system
        reason = getattr(error, "strerror", None) or error
        text = f"images will be pulled from {host}, which has no address here: {reason}"
        fix = "check that nodes reach it, or name a mirror in spec.images of the AIChatPlatform"
        return _finding(_REGISTRY, Severity.NOTE, text, fix)
    text = f"images will be pulled from {host}, which has an address here"
    return _finding(_REGISTRY, Severity.GOOD, text)


def _pods(kubectl: Kubectl) -> Iterator[Finding]:
    try:
        own = kubectl.get("the pods were not read", "pods", "-n", names.SYSTEM_NAMESPACE)
        managed = kubectl.get("the pods were not read", "pods", "-A", "-l", names.MANAGED_SELECTOR)
    except CliError as error:
        text = f"{error.what}: {'; '.join(error.why)}"
        yield _finding(_PULLS, Severity.NOTE, text, fix_of(error, "kubectl cluster-info"))
        return
    yield from pulls([*own["items"], *managed["items"]])


def pulls(pods: Sequence[Json]) -> Iterator[Finding]:
    """Yield which pods can't pull an image."""
    failures = {
        (str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])): image
        for pod in pods
        for image in _failed_images(pod)
    }
    if not failures:
        yield _finding(_PULLS, Severity.GOOD, f"{count(len(pods), 'pod')}, and all pull images")
    for (namespace, pod), image in list(failures.items())[:_MAX_PODS]:
        text = f"{namespace}/{pod} can't pull {image}"
        fix = f"kubectl -n {namespace} describe pod {pod}"
        yield _finding(_PULLS, Severity.PROBLEM, text, fix)
    if len(failures) > _MAX_PODS:
        text = f"{count(len(failures) - _MAX_PODS, 'pod')} more can't pull an image"
        fix = f"kubectl get pods -A -l {names.MANAGED_SELECTOR}"
        yield _finding(_PULLS, Severity.PROBLEM, text, fix)


def _failed_images(pod: Json) -> Iterator[str]:
    status = pod.get("status") or {}
    for part in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(part) or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _FAILED_PULLS:
                yield str(container["image"])
