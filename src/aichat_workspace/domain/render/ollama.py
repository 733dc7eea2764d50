"""Render the model server: Ollama in a StatefulSet, with its models on a claim.

The claim is not a claim template: a StatefulSet's templates can't be changed, and a claim can grow.
"""

from typing import Any, Final

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.kubernetes.quantity import parse
from aichat_workspace.domain.render.components import OLLAMA, OLLAMA_PORT
from aichat_workspace.domain.render.containers import (
    container_resources,
    container_security,
    env,
    http_probe,
)
from aichat_workspace.domain.render.context import Tenant
from aichat_workspace.domain.render.placement import pod_security
from aichat_workspace.domain.render.ways_out import with_ways_out

_HOME: Final = "/var/lib/ollama"
PUBLIC_KEY: Final = f"{_HOME}/.ollama/id_ed25519.pub"
"""The file of the key by which registries know this server; made at its first start."""
_USER: Final = 1000
_CHATS_DIVISOR: Final = 8  # a model may keep chats in an eighth of the memory limit
# Ollama notes how far each part of a download is. If it ends while it writes a note, the note is
# empty, and every later download of that model fails with EOF. Without the notes it starts again.
DISCARD_TORN_DOWNLOADS: Final = (
    'for note in "$OLLAMA_MODELS"/blobs/*-partial-*; do '
    'test -s "$note" || rm -f "${note%-*}"*; done; '
)
# At its start Ollama removes what no model has, file by file, unless it is less than an hour old.
# So the files of downloads are touched; `downloads` keeps the time of their last data instead.
# Those without data for a day are removed, at the start and each hour.
TIDY_DOWNLOADS: Final = (
    'tidy() (mkdir -p "$OLLAMA_MODELS/downloads"; cd "$OLLAMA_MODELS/downloads" || return; '
    "for data in ../blobs/*-partial; do last=${data##*/}; test -e $data || continue; "
    "test -e $last -a ! $data -nt tidied || touch -r $data $last; "
    'test -z "$$(find $last -mmin +1440)" || rm -f $data $data-*; touch -c $data*; done; '
    "find . -type f -mmin +1440 -delete; touch tidied); "
    "tidy; while sleep 3600; do tidy; done >/dev/null 2>&1 & "
)
# Ollama's engine, llama-server, starts a thread for each core of the node. With more threads than
# free cores it nearly stops (https://github.com/ollama/ollama/issues/17916). So there are at most
# as many as the CPU limit has cores, and one core of the node stays free. `$$` is Kubernetes' `$`.
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
            "template": with_ways_out(
                tenant,
                OLLAMA,
                tenant.pod_template(
                    OLLAMA,
                    _container(tenant),
                    pod_security(tenant.platform, _USER, _USER),
                    "models",
                ),
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
            DISCARD_TORN_DOWNLOADS + TIDY_DOWNLOADS + _START.format(limit=_whole_cores(tenant)),
        ],
        "ports": [{"name": "http", "containerPort": OLLAMA_PORT, "protocol": "TCP"}],
        "env": env(
            HOME=_HOME,
            OLLAMA_HOST=f"0.0.0.0:{OLLAMA_PORT}",
            OLLAMA_MODELS=f"{_HOME}/models",
            # No prompt of a private tenant may go to a hosted model.
            OLLAMA_NO_CLOUD="1",
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
    """Return Ollama's settings that the workspace may choose.

    https://github.com/ollama/ollama/blob/main/docs/faq.mdx
    """
    tuning = tenant.spec.ollama
    settings = {
        "OLLAMA_CONTEXT_LENGTH": tuning.context_length,
        "OLLAMA_KEEP_ALIVE": tuning.keep_alive,
        "OLLAMA_NUM_PARALLEL": tuning.parallel_requests,
        "OLLAMA_MAX_LOADED_MODELS": tuning.loaded_models or _loaded_models(tenant),
    }
    return {name: str(value) for name, value in settings.items() if value is not None}


def _loaded_models(tenant: Tenant) -> int | None:
    """Return how many models may be in memory; None is Ollama's choice.

    Without a GPU Ollama loads up to three, even if they don't fit. A workspace needs two at a time:
    one for chats and one that reads documents.
    """
    return None if tenant.spec.resources.ollama.gpu else 2


def _chats_mebibytes(tenant: Tenant) -> int:
    """Return the memory in which llama-server keeps earlier chats, for each model in use.

    By default it takes 8 GiB, even above the limit (https://github.com/ollama/ollama/issues/18264).
    """
    return parse(tenant.share(OLLAMA).memory_limit) // _CHATS_DIVISOR // 2**20


def _whole_cores(tenant: Tenant) -> int:
    """Return the CPU limit's whole cores, at least one: part of a core is not worth a thread."""
    return max(int(parse(tenant.share(OLLAMA).cpu_limit)), 1)


def _resources(tenant: Tenant) -> dict[str, Any]:
    """Return the container's resources. GPUs are in limits and requests, which must be equal."""
    resources = container_resources(tenant.share(OLLAMA))
    gpu = tenant.spec.resources.ollama.gpu
    if gpu is None:
        return dict(resources)
    return {
        part: {**amounts, gpu.resource_name: str(gpu.count)} for part, amounts in resources.items()
    }
