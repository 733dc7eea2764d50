"""Starts the operator: `aichat-workspace-operator`."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import aiohttp
import structlog
from kubernetes.aio.config import ConfigException

from aichat_workspace.domain import names
from aichat_workspace.kube.client import IN_CLUSTER_TOKEN, Client
from aichat_workspace.kube.controller import Controller
from aichat_workspace.kube.queue import Queue
from aichat_workspace.operator import probes, servers
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.confinement import wait_confined
from aichat_workspace.operator.model_sync import ModelSync
from aichat_workspace.operator.reconcile import Reconciler
from aichat_workspace.patterns import builtin

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
    _log_as_json()
    try:
        settings = Settings.read(os.environ, in_cluster=IN_CLUSTER_TOKEN.exists())
        asyncio.run(_until_stopped(settings))
    except (ValueError, ConfigException) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


async def _until_stopped(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. A write in hand is finished or repeated by the next start:
    every one of them may be."""
    running = asyncio.create_task(run(settings))
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("stopped")


async def run(settings: Settings) -> None:
    """Connect, wait until confined and synced, then reconcile for ever."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            await Client.connect(
                settings.kubeconfig if settings.dev else None, user_agent=names.OPERATOR
            )
        )
        # Requests to a model server are rare, and the next one may be for another pod.
        alone = aiohttp.TCPConnector(force_close=True)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=alone))
        queue: Queue[str] = Queue()
        caches = Caches(client, queue.add)
        confined = asyncio.Event()
        if settings.probe_port:
            await stack.enter_async_context(
                probes.serve(settings.probe_port, lambda: confined.is_set() and caches.synced)
            )
        if not settings.dev:
            await wait_confined(client)
        confined.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(caches.run())
            await caches.wait_synced()
            models = ModelSync(
                queue.add, concurrent_pulls=caches.settings().models.concurrent_pulls
            )
            stack.push_async_callback(models.close)
            reconciler = Reconciler(
                client=client,
                caches=caches,
                models=models,
                connect=servers.by_proxy(client) if settings.dev else servers.by_service(session),
                builtin_prompts=builtin(),
                now=lambda: datetime.now(UTC).replace(microsecond=0),
            )
            _log.info("started", workspaces=len(caches.workspaces))
            group.create_task(Controller(queue, reconciler.reconcile, workers=_WORKERS).run())


def _log_as_json() -> None:
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
