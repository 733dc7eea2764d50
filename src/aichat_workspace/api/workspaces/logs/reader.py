"""The logs of a workspace's workloads."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web.responses import cluster_errors
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.logs.lines import LogLine, read_log_lines
from aichat_workspace.api.workspaces.logs.query import LogQuery
from aichat_workspace.api.workspaces.tenant_namespace import require_namespace
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.render.components import OLLAMA, OPENWEBUI
from aichat_workspace.kube import errors
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import Json

_POD: Final = kinds.POD
FOLLOW_IDLE_SECONDS: Final = 3_600.0
_READ_IDLE_SECONDS: Final = 30.0
_POD_TTL_SECONDS: Final = 2.0
_MAX_PODS: Final = 1_000


class Workload(StrEnum):
    """The workloads of a workspace."""

    OLLAMA = OLLAMA
    OPENWEBUI = OPENWEBUI


def _new_cache() -> TtlCache[tuple[str, Workload], str]:
    return TtlCache(_POD_TTL_SECONDS, _MAX_PODS)


@dataclass(frozen=True, slots=True)
class WorkspaceLogs:
    """Reads the logs of workspaces."""

    client: Client
    cluster: ClusterView
    _pods_cache: TtlCache[tuple[str, Workload], str] = field(default_factory=_new_cache)

    @asynccontextmanager
    async def open(
        self, view: View, workload: Workload, query: LogQuery
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """Open a workload's log, yield its chunks, and close it.

        Raises ProblemError: 409 without a pod, 502 for a log that is longer than its limit.
        """
        has_times = query.timestamps or query.since is not None
        async with self._open(view, workload, query, timestamps=has_times) as chunks:
            if query.since is None:
                yield chunks
            else:
                lines = read_log_lines(chunks, query.since)
                yield _join(lines, timestamps=query.timestamps)

    @asynccontextmanager
    async def open_lines(
        self, view: View, workload: Workload, query: LogQuery
    ) -> AsyncIterator[AsyncGenerator[LogLine, None]]:
        """Open a workload's log, yield its lines with their times, and close it."""
        async with self._open(view, workload, query, timestamps=True) as chunks:
            yield read_log_lines(chunks, query.since)

    @asynccontextmanager
    async def _open(
        self, view: View, workload: Workload, query: LogQuery, *, timestamps: bool
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        namespace = require_namespace(self.cluster, view)
        key = (str(view.document["uid"]), workload)
        pod = await self._pods_cache.get(key, lambda: self._pod(view, namespace, workload))
        async with self.client.stream(
            "GET",
            _POD.path(namespace, pod, "log"),
            counted_as="pods/log",
            query=query.parameters(str(workload), timestamps=timestamps),
            idle_seconds=FOLLOW_IDLE_SECONDS if query.follow else _READ_IDLE_SECONDS,
        ) as stream:
            if stream.status != 200:
                body = b"".join([chunk async for chunk in stream.chunks])
                raise _log_problem(view, workload, errors.from_response(stream.status, body))
            yield _bounded(stream.chunks, query.max_bytes)

    async def _pod(self, view: View, namespace: str, workload: Workload) -> str:
        selector = f"{names.MANAGED_SELECTOR},{names.COMPONENT_LABEL}={workload}"
        pods: list[Json] = []
        async for page in self.client.list_pages(_POD, namespace, label_selector=selector):
            pods += page["items"]
        if not pods:
            raise ProblemError(
                409,
                "not-running",
                f"{workload} of workspace {view.name!r} has no pod now: it is suspended or still "
                f"coming up. GET /api/v1/workspaces/{view.name}/diagnosis says which.",
            )
        newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return str(newest["metadata"]["name"])


async def _bounded(
    chunks: AsyncIterator[bytes], max_bytes: int | None
) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if max_bytes is not None and size > max_bytes:
            raise ProblemError(
                502,
                "log-too-long",
                f"The log has more than {max_bytes} bytes. Ask for a part of it with tail, "
                "sinceTime or limitBytes.",
            )
        yield chunk


async def _join(lines: AsyncIterator[LogLine], *, timestamps: bool) -> AsyncGenerator[bytes, None]:
    async for line in lines:
        time = f"{line.time} ".encode() if timestamps and line.time else b""
        yield b"%b%b\n" % (time, line.text)


def _log_problem(view: View, workload: Workload, error: errors.ApiError) -> ProblemError:
    if error.status in (400, 404):
        message = error.message or "it has none"
        return ProblemError(
            409, "no-log", f"{workload} of {view.name!r} has no such log: {message}"
        )
    return cluster_errors.from_cluster(error)
