"""Liveness, readiness and metrics over HTTP."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def serve(
    port: int,
    problem: Callable[[], str],
    metrics: Callable[[], tuple[bytes, str]],
    address: str | None = None,
) -> AsyncIterator[None]:
    """Serve the probes and the metrics while the context is open.

    /healthz: the event loop runs. /readyz: the process can do its work (`problem` is empty).
    Without an address it listens on every one. Raises OSError for a port that is in use."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        message = problem()
        return web.Response(status=503 if message else 200, text=f"{message or 'ok'}\n")

    async def scrape(_: web.Request) -> web.Response:
        body, content_type = metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", scrape),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield
    finally:
        await runner.cleanup()
