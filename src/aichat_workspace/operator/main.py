"""Starts the operator: `aichat-workspace-operator`."""

import asyncio
import os
import socket
import sys
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final, Self

import structlog
from kubernetes.aio.config import ConfigException

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.controller import Controller, Result
from aichat_workspace.kube.leader import Election, LeadershipLostError, run_as_leader
from aichat_workspace.kube.lease import LeaseConfig
from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.transport import IN_CLUSTER_TOKEN
from aichat_workspace.kube.work_queue import Queue
from aichat_workspace.operator import session_key
from aichat_workspace.operator.admission_check import wait_confined, watch_confined
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.finalizer import WorkspaceFinalizer
from aichat_workspace.operator.image_rollouts import ImageRollouts
from aichat_workspace.operator.models.sync import ModelSync
from aichat_workspace.operator.models.tools import ToolSync
from aichat_workspace.operator.reconciler import Reconciler
from aichat_workspace.operator.shutdown import run_until_signal
from aichat_workspace.operator.telemetry import probes
from aichat_workspace.operator.telemetry.metrics import Metrics, MetricSources
from aichat_workspace.operator.telemetry.tracing import connect
from aichat_workspace.operator.writer import Writer
from aichat_workspace.patterns import builtin
from aichat_workspace.runtime import servers
from aichat_workspace.runtime.logs import log_as_json

_WORKERS: Final = 8
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the operator runs. `ENV=dev` is a laptop with a kubeconfig: no admission policy is
    expected, and model servers are reached through the API server."""

    dev: bool
    kubeconfig: str | None
    probe_port: int

    @classmethod
    def read(cls, environment: Mapping[str, str], *, in_cluster: bool) -> Self:
        """Raises ValueError for a port that is not a number."""
        port = environment.get("PROBE_PORT", "8081")
        if not port.isdigit():
            raise ValueError(f"PROBE_PORT is {port!r}; write a port number, or 0 for none")
        return cls(
            dev=environment.get("ENV") == "dev" or not in_cluster,
            kubeconfig=environment.get("KUBECONFIG") or None,
            probe_port=int(port),
        )


def main() -> None:
    log_as_json()
    try:
        settings = Settings.read(os.environ, in_cluster=IN_CLUSTER_TOKEN.exists())
        asyncio.run(_until_stopped(settings))
    except (ValueError, ImportError, ConfigException) as error:
        _log.error("not started", error=str(error))
        sys.exit(2)


async def _until_stopped(settings: Settings) -> None:
    try:
        await run_until_signal(run(settings))
    except BaseExceptionGroup as group:
        if (lost := group.subgroup(LeadershipLostError)) is None:
            raise
        _log.error("not the leader any more", error=str(lost.exceptions[0]))
        os._exit(1)  # work that does not end must not outlive the lease


async def run(settings: Settings) -> None:
    """Connect, wait until confined and synced, then reconcile for ever, or stand by for that.

    Raises kube.leader.LeadershipLostError when another replica may lead: end the process.
    """
    metrics = Metrics(version(names.OPERATOR))
    tracing = connect(os.environ, version(names.OPERATOR))

    def on_request(verb: str, plural: str, code: int, seconds: float) -> None:
        metrics.on_request(verb, plural, code, seconds)
        tracing.on_request(verb, plural, code, seconds)

    async with AsyncExitStack() as stack:
        stack.push_async_callback(tracing.close)
        client = await stack.enter_async_context(
            await Client.connect(
                settings.kubeconfig if settings.dev else None,
                user_agent=names.OPERATOR,
                on_request=on_request,
            )
        )
        session = await stack.enter_async_context(servers.session())
        queue: Queue[str] = Queue(metrics.on_wait)
        tools = ToolSync(queue.add)
        models = ModelSync(
            queue.add,
            concurrent_pulls=lambda: caches.settings().models.concurrent_pulls,
            on_pull=metrics.on_pull,
            on_bytes=metrics.on_bytes,
            on_list=tools.listed,
        )
        caches = Caches(client, queue.add, models.limit_changed)
        confined = asyncio.Event()
        if settings.probe_port:
            problem = lambda: caches.problem if confined.is_set() else "not confined"  # noqa: E731
            await stack.enter_async_context(
                probes.serve(settings.probe_port, problem, metrics.render)
            )
        if not settings.dev:
            await wait_confined(client)
        confined.set()
        metrics.mirror(
            MetricSources(
                confined=confined.is_set,
                queue_depth=lambda: len(queue),
                cached=lambda: {each.resource.kind: len(each) for each in caches.all},
                phases=lambda: map(_phase, caches.workspaces.all()),
                pulls_running=lambda: models.pulls_running,
            )
        )
        election = Election(client, _terms(), on_change=metrics.on_leader)
        guarded = client.guarded(lambda: settings.dev or (election.is_leader and confined.is_set()))
        writer = Writer(guarded, caches)
        reconciler = Reconciler(
            writer=writer,
            caches=caches,
            models=models,
            tools=tools,
            farewell=WorkspaceFinalizer(writer, caches, now),
            rollouts=ImageRollouts(caches, queue.add),
            connect=servers.by_proxy(client) if settings.dev else servers.by_service(session),
            connect_chat=(
                servers.chat_by_proxy(client) if settings.dev else servers.chat_by_service(session)
            ),
            builtin_prompts=builtin(),
            now=now,
        )

        async def reconcile(name: str) -> Result:
            with tracing.reconcile(name):
                return await reconciler.reconcile(name)

        controller = Controller(
            queue, reconcile, workers=_WORKERS, on_reconcile=metrics.on_reconcile
        )

        async def lead() -> None:
            queue.reset_wait_times()
            _log.info("started", workspaces=len(caches.workspaces))
            sessions = asyncio.create_task(session_key.maintain(writer, caches))
            try:
                await controller.run()
            finally:
                sessions.cancel()
                await models.close()
                await tools.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(caches.run())
            await caches.wait_synced()
            if settings.dev:
                metrics.on_leader(True)
                group.create_task(lead())
            else:
                group.create_task(watch_confined(client, confined))
                group.create_task(run_as_leader(election, lead))


def now() -> datetime:
    """Whole seconds, as in Kubernetes' timestamps."""
    return datetime.now(UTC).replace(microsecond=0)


def _terms() -> LeaseConfig:
    return LeaseConfig(
        namespace=names.SYSTEM_NAMESPACE,
        name=names.OPERATOR,
        identity=f"{socket.gethostname()}_{uuid.uuid4()}",
        field_manager=names.OPERATOR,
    )


def _phase(workspace: Json) -> str:
    phase: str = workspace.get("status", {}).get("phase", Phase.PENDING)
    return phase
