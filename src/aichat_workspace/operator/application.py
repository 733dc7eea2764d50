"""The operator's parts, put together."""

import asyncio
import os
import socket
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final, NoReturn

import aiohttp
import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.policy.cluster_addresses import resolvers
from aichat_workspace.domain.status.platform_status import false_conditions
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.controller import Controller, Result
from aichat_workspace.kube.leases.leader import Election, run_as_leader
from aichat_workspace.kube.leases.lease import LeaseConfig
from aichat_workspace.kube.work_queue import Queue
from aichat_workspace.operator import enforcement_check, platform_reporter
from aichat_workspace.operator.admission_check import wait_confined, watch_confined
from aichat_workspace.operator.credentials import new_secrets
from aichat_workspace.operator.executor import Executor
from aichat_workspace.operator.models.sync import ModelSync
from aichat_workspace.operator.models.task import SyncObserver
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.own_image import own_image
from aichat_workspace.operator.reconciler import Reconciler
from aichat_workspace.operator.records import session_key, settings_record
from aichat_workspace.operator.reporter import Reporter
from aichat_workspace.operator.rollouts import Rollouts
from aichat_workspace.operator.servers.activity import ActivitySync
from aichat_workspace.operator.servers.sync import ServerSync
from aichat_workspace.operator.servers.tools import ToolSync
from aichat_workspace.operator.settings import Settings
from aichat_workspace.operator.snapshots import Snapshots
from aichat_workspace.operator.telemetry.metrics import Metrics, MetricSources
from aichat_workspace.operator.telemetry.tracing import Tracing, connect
from aichat_workspace.operator.writer import Writer
from aichat_workspace.patterns import builtin
from aichat_workspace.runtime import probes, servers

_WORKERS: Final = 8
_log: Final = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Connect, wait until confined and synced, then reconcile for ever, or stand by for that.

    Raises:
        kube.leader.LeadershipLostError: another replica may lead: end the process.
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
        application = Application(settings, client, session, metrics, tracing)
        if settings.probe_port:
            await stack.enter_async_context(
                probes.serve(settings.probe_port, application.problem, metrics.render)
            )
        await application.run()


class Application:
    """One replica of the operator."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        session: aiohttp.ClientSession,
        metrics: Metrics,
        tracing: Tracing,
    ) -> None:
        self._settings = settings
        self._backup_image = settings.backup_image
        self._client = client
        self._metrics = metrics
        self._tracing = tracing
        self._confined = asyncio.Event()
        self._queue: Queue[str] = Queue(metrics.on_wait)
        dns_servers = () if settings.dev else resolvers(settings.resolv_conf.read_text())
        self._caches = Caches(client, self._queue.add, self._on_settings, dns_servers)
        self._rollouts = Rollouts(self._caches, self._queue.add)
        self._election = Election(client, _lease_config(), on_change=metrics.on_leader)
        self._writer = Writer(
            client.guarded(self._may_write), self._caches, instance=socket.gethostname()
        )
        self._servers = self._build_servers(session)
        self._reconciler = Reconciler(
            snapshots=Snapshots(
                self._caches,
                self._rollouts,
                builtin(),
                new_secrets,
                client.clock_ahead,
                lambda: self._backup_image,
            ),
            executor=Executor(self._writer, now),
            servers=self._servers,
            reporter=Reporter(self._writer, now),
            rollouts=self._rollouts,
            now=now,
        )

    def problem(self) -> str:
        """Why this replica is not ready; empty when it is."""
        return self._caches.problem if self._confined.is_set() else "not confined"

    async def run(self) -> None:
        """Reconcile while this replica leads. Returns never."""
        if not self._settings.dev:
            await wait_confined(self._client)
        if not (self._settings.dev or self._backup_image):
            self._backup_image = await own_image(self._client, socket.gethostname())
        self._confined.set()
        self._metrics.mirror(self._metric_sources())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._caches.run())
            await self._caches.wait_synced()
            if self._settings.dev:
                self._metrics.on_leader(True)
                group.create_task(self._lead())
            else:
                group.create_task(watch_confined(self._client, self._confined))
                group.create_task(run_as_leader(self._election, self._lead))

    async def _lead(self) -> None:
        self._queue.reset_wait_times()
        self._rollouts.rebuild()
        _log.info("started", workspaces=len(self._caches.workspaces))
        tasks = (
            asyncio.create_task(session_key.maintain(self._writer, self._caches)),
            asyncio.create_task(settings_record.maintain(self._writer, self._caches, now)),
            asyncio.create_task(platform_reporter.maintain(self._writer, self._caches, now)),
            *self._enforcement_checks(),
        )
        controller = Controller(
            self._queue,
            self._reconcile,
            workers=_WORKERS,
            on_reconcile=self._metrics.on_reconcile,
        )
        try:
            await controller.run()
        finally:
            for task in tasks:
                task.cancel()
            await self._servers.close()

    def _enforcement_checks(self) -> tuple[asyncio.Task[NoReturn], ...]:
        if self._settings.dev:
            return ()  # a laptop is behind no network policy
        check = enforcement_check.maintain(self._client, self._caches)
        return (asyncio.create_task(check),)

    async def _reconcile(self, name: str) -> Result:
        with self._tracing.reconcile(name):
            if self._queue.take_whole(name):
                return await self._reconciler.reconcile(name)
            return await self._reconciler.report_progress(name)

    def _on_settings(self) -> None:
        self._servers.models.limit_changed()
        self._rollouts.rebuild()

    def _may_write(self) -> bool:
        return self._settings.dev or (self._election.is_leader and self._confined.is_set())

    def _build_servers(self, session: aiohttp.ClientSession) -> ServerSync:
        tools, activity = ToolSync(self._queue.add), ActivitySync(self._queue.add, now)

        def on_list(name: str, digests: Mapping[str, str]) -> None:
            tools.listed(name, digests)
            activity.looked(name)

        observer = SyncObserver(
            on_change=self._queue.add,
            on_progress=self._queue.add_progress,
            on_pull=self._metrics.on_pull,
            on_bytes=self._metrics.on_bytes,
            on_list=on_list,
        )
        models = ModelSync(
            observer, concurrent_pulls=lambda: self._caches.settings.spec().models.concurrent_pulls
        )
        if self._settings.dev:
            connections = servers.by_proxy(self._client), servers.chat_by_proxy(self._client)
        else:
            connections = servers.by_service(session), servers.chat_by_service(session)
        return ServerSync(models, tools, activity, *connections)

    def _metric_sources(self) -> MetricSources:
        return MetricSources(
            confined=self._confined.is_set,
            queue_depth=lambda: len(self._queue),
            orphaned_namespaces=lambda: len(self._caches.orphaned_namespaces()),
            settings_kept=lambda: self._caches.settings.in_force.is_deleted,
            settings_refused=lambda: len(self._caches.settings.in_force.not_understood),
            false_conditions=lambda: false_conditions(self._caches.settings.platform),
            cached=self._cached,
            phases=lambda: self._caches.index.phases,
            backups=lambda: self._caches.index.backups,
            pulls_running=lambda: self._servers.models.pulls_running,
            upgrades=self._rollouts.board.counts,
            upgrade_turns=lambda: self._rollouts.ended_turns,
            upgrades_stopped=lambda: self._rollouts.is_stopped,
            upgrades_paused=lambda: self._rollouts.is_paused,
        )

    def _cached(self) -> dict[str, int]:
        """Count objects by kind; there are two caches of ConfigMaps."""
        counts: Counter[str] = Counter()
        for cache in self._caches.all:
            counts[cache.resource.kind] += len(cache)
        return counts


def now() -> datetime:
    """Whole seconds, as in Kubernetes' timestamps."""
    return datetime.now(UTC).replace(microsecond=0)


def _lease_config() -> LeaseConfig:
    return LeaseConfig(
        namespace=names.SYSTEM_NAMESPACE,
        name=names.OPERATOR,
        identity=f"{socket.gethostname()}_{uuid.uuid4()}",
        field_manager=names.OPERATOR,
    )
