"""The model server: Ollama in a StatefulSet, its models on a claim of its own.

The claim is not a claim template: a StatefulSet's templates can never be changed, a claim can grow.
"""

from typing import Any, Final

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.kubernetes.quantity import parse
from aichat_workspace.domain.render.context import (
    OLLAMA,
    OLLAMA_PORT,
    Tenant,
    container_resources,
    container_security,
    env,
    http_probe,
    pod_security,
)

_HOME: Final = "/var/lib/ollama"
_USER: Final = 1000
_CHATS_SHARE: Final = 8  # part of the memory limit in which a model may keep chats: an eighth
# Ollama notes how far each part of a download is. Ended while it writes a note it leaves an empty
# one, and answers EOF to every later download of that model; without the notes it begins again.
DISCARD_TORN_DOWNLOADS: Final = (
    'for note in "$OLLAMA_MODELS"/blobs/*-partial-*; do '
    'test -s "$note" || rm -f "${note%-*}"*; done; '
)
# Ollama's engine, llama-server, starts a thread for each core of the node. With more threads than
# free cores it nearly stands still (https://github.com/ollama/ollama/issues/17916), so the limit
# bounds them, and so does a small node, which keeps one core for all else. `$$` is Kubernetes' `$`.
_START: Final = (
    "cores=$$(nproc --ignore=1); test $cores -lt {limit} || cores={limit}; "
    "export LLAMA_ARG_THREADS=$cores; exec /bin/ollama serve"
)


def render(tenant: Tenant) -> tuple[Manifest, ...]:
    return (
        tenant.claim(tenant.ollama, OLLAMA),
        tenant.service(tenant.ollama, OLLAMA, OLLAMA_PORT),
        _stateful_set(tenant),
    )


def _stateful_set(tenant: Tenant) -> Manifest:
    return tenant.manifest(
        "apps/v1",
        "StatefulSet",
        tenant.ollama,
        OLLAMA,
        spec={
            "replicas": tenant.replicas,
            "serviceName": tenant.ollama,
            "selector": {"matchLabels": tenant.selector(OLLAMA)},
            "template": tenant.pod_template(
                OLLAMA, _container(tenant), pod_security(_USER, _USER), "models"
            ),
        },
    )


def _container(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": OLLAMA,
        "image": tenant.image(OLLAMA),
        "imagePullPolicy": "IfNotPresent",
        "command": [
            "/bin/sh",
            "-c",
            DISCARD_TORN_DOWNLOADS + _START.format(limit=_whole_cores(tenant)),
        ],
        "ports": [{"name": "http", "containerPort": OLLAMA_PORT, "protocol": "TCP"}],
        "env": env(
            HOME=_HOME,
            OLLAMA_HOST=f"0.0.0.0:{OLLAMA_PORT}",
            OLLAMA_MODELS=f"{_HOME}/models",
            # No prompt leaves a private tenant for a hosted model.
            OLLAMA_NO_CLOUD="1",
            # Half-downloaded blobs survive a restart, so that a download resumes.
            OLLAMA_NOPRUNE="1",
            LLAMA_ARG_CACHE_RAM=str(_chats_mebibytes(tenant)),
            **_tuning(tenant),
        ),
        "resources": _resources(tenant),
        "securityContext": container_security(read_only_root=True),
        "volumeMounts": [
            {"name": "models", "mountPath": _HOME},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (a mount of its own)
        ],
        "startupProbe": http_probe("/", periodSeconds=1, failureThreshold=120),
        "readinessProbe": http_probe("/", periodSeconds=10, failureThreshold=3),
        "livenessProbe": http_probe("/", periodSeconds=20, timeoutSeconds=5, failureThreshold=6),
    }


def _tuning(tenant: Tenant) -> dict[str, str]:
    """https://github.com/ollama/ollama/blob/main/docs/faq.mdx"""
    tuning = tenant.spec.ollama
    chosen = {
        "OLLAMA_CONTEXT_LENGTH": tuning.context_length,
        "OLLAMA_KEEP_ALIVE": tuning.keep_alive,
        "OLLAMA_NUM_PARALLEL": tuning.parallel_requests,
        "OLLAMA_MAX_LOADED_MODELS": tuning.loaded_models or _loaded_models(tenant),
    }
    return {name: str(value) for name, value in chosen.items() if value is not None}


def _loaded_models(tenant: Tenant) -> int | None:
    """Without a GPU Ollama loads up to three and does not look whether they fit in memory: one to
    chat and one that reads documents are what a workspace has at work."""
    return None if tenant.spec.resources.ollama.gpu else 2


def _chats_mebibytes(tenant: Tenant) -> int:
    """Memory in which llama-server keeps the state of earlier chats, for each model in use: by
    itself 8 GiB, whatever the limit is (https://github.com/ollama/ollama/issues/18264)."""
    return parse(tenant.share(OLLAMA).memory_limit) // _CHATS_SHARE // 2**20


def _whole_cores(tenant: Tenant) -> int:
    """Those of the CPU limit; a part of one is not worth a thread."""
    return max(int(parse(tenant.share(OLLAMA).cpu_limit)), 1)


def _resources(tenant: Tenant) -> dict[str, Any]:
    """GPUs are asked for as limits and as requests, which must be the same."""
    found = container_resources(tenant.share(OLLAMA))
    gpu = tenant.spec.resources.ollama.gpu
    if gpu is None:
        return dict(found)
    return {part: {**found[part], gpu.resource_name: str(gpu.count)} for part in found}
