"""The server process: `aichat-workspace-api`."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from functools import partial
from types import FrameType
from typing import Final, cast

import structlog
import uvicorn

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.web.limits.connection_limits import ConnectionLimits
from aichat_workspace.api.web.limits.connections import BoundedProtocol
from aichat_workspace.domain import names
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.connection import IN_CLUSTER_TOKEN
from aichat_workspace.patterns import builtin
from aichat_workspace.runtime import arguments, probes, servers
from aichat_workspace.runtime.event_loop import run_loop
from aichat_workspace.runtime.garbage import collect_rarely
from aichat_workspace.runtime.logs import log_as_json

_STOP_SECONDS: Final = 5
# Longer than proxies in front keep idle connections: if this side closed first, a proxy might send
# a request into a connection that closes.
_IDLE_SECONDS: Final = 120
_log: Final = structlog.get_logger()


class Server(uvicorn.Server):
    """A server that ends its streams when it is told to stop, so stopping takes no longer."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, _: FrameType | None) -> None:
        """Stop; uvicorn's own handler would repeat the signal and end before we have closed all."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self._stopping.set()

    def on_watch_end(self, watching: "asyncio.Task[None]") -> None:
        """Stop the server when the watches ended: it would serve old data."""
        if not watching.cancelled():
            _log.error("the watches ended", exc_info=watching.exception())
            self.handle_exit(signal.SIGTERM, None)


def bounded_protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """Return the class of connections that share these limits, as uvicorn calls it."""
    return cast("type[asyncio.Protocol]", partial(BoundedProtocol, limits=limits))


def main() -> None:
    """Run the server until it is stopped; exit 2 for settings that can't be used."""
    arguments.answer(names.API, "Serve the HTTP API and the console of workspaces.")
    log_as_json()
    try:
        settings = Settings.read(os.environ, in_cluster=IN_CLUSTER_TOKEN.exists())
        run_loop(run(settings))
    except (ValueError, OSError) as error:  # OSError: a port is in use
        _log.error("not started", error=str(error))
        sys.exit(2)


async def run(settings: Settings) -> None:
    """Connect, fill the caches, then serve until SIGTERM or SIGINT."""
    collect_rarely()
    async with AsyncExitStack() as stack:
        metrics: Metrics | None = None

        def on_request(verb: str, plural: str, code: int, seconds: float) -> None:
            if metrics is not None:
                metrics.on_request(verb, plural, code, seconds)

        client = await stack.enter_async_context(
            await Client.connect(
                settings.kubeconfig if settings.dev else None,
                user_agent=names.API,
                on_request=on_request,
            )
        )
        session = await stack.enter_async_context(servers.session())
        if settings.dev:
            connections = servers.by_proxy(client), servers.chat_by_proxy(client)
        else:
            connections = servers.by_service(session), servers.chat_by_service(session)
        services = Services.create(settings, client, *connections, builtin())
        stack.push_async_callback(services.sessions.renewals.finish)
        metrics = Metrics(lambda: services.streams.taken, lambda: len(services.cluster))
        config = uvicorn.Config(
            build(services, metrics),
            host=settings.address,
            port=settings.port,
            http=bounded_protocol(_connection_limits(services)),
            ws="none",
            access_log=False,
            log_config=None,  # its lines are JSON, as ours are
            log_level="warning",
            server_header=False,
            proxy_headers=False,  # the application decides which proxies to trust
            # No limit_concurrency, which counts no caller's share: the bounds of api.web do.
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        server = Server(config, services.stopping)
        await stack.enter_async_context(
            probes.serve(
                settings.probe_port,
                lambda: _problem(services),
                metrics.render,
                settings.address or None,
            )
        )
        watching = asyncio.create_task(services.cluster.run())
        watching.add_done_callback(server.on_watch_end)
        stack.callback(watching.cancel)
        announcing = asyncio.create_task(_announce(services))
        stack.callback(announcing.cancel)
        await server.serve()
        _log.info("stopped")


def _connection_limits(services: Services) -> ConnectionLimits:
    settings = services.settings
    return ConnectionLimits.create(settings.bounds, services.known_addresses, settings.proxies)


def _problem(services: Services) -> str:
    """Return why this replica can't serve; empty when it can."""
    return "it stops" if services.stopping.is_set() else services.cluster.problem


async def _announce(services: Services) -> None:
    await services.cluster.wait_synced()
    _log.info(
        "serving",
        address=services.settings.address,
        port=services.settings.port,
        workspaces=len(services.cluster),
    )
