"""The parts that all containers share: resources, probe, environment and security."""

from collections.abc import Mapping
from typing import Any, Final

from aichat_workspace.domain.v1alpha1.platform_spec import Share

_NODE_DISK: Final = "2Gi"


def container_resources(share: Share) -> dict[str, Mapping[str, str]]:
    """Return a container's requests and limits.

    They include disk of the node for logs and temporary files: without a limit one workspace could
    fill the disk that all pods on the node share.
    """
    return {
        "requests": {
            "cpu": share.cpu_request,
            "memory": share.memory_request,
            "ephemeral-storage": "64Mi",
        },
        "limits": {
            "cpu": share.cpu_limit,
            "memory": share.memory_limit,
            "ephemeral-storage": _NODE_DISK,
        },
    }


def http_probe(path: str, **timing: int) -> dict[str, Any]:
    """Return a probe of the container's http port, with a pod's fields for timing."""
    return {"httpGet": {"path": path, "port": "http", "scheme": "HTTP"}, **timing}


def env(**values: str) -> list[dict[str, Any]]:
    """Return sorted environment variables, with `$` doubled: Kubernetes expands $(VAR)."""
    return [
        {"name": name, "value": value.replace("$", "$$")} for name, value in sorted(values.items())
    ]


def container_security(*, read_only_root: bool) -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only_root,
        "capabilities": {"drop": ["ALL"]},
    }
