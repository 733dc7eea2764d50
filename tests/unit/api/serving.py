"""Serve an application with the product's server; connect clients that do not read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from aichat_workspace.api.server import Server, bounded_protocol
from aichat_workspace.api.settings import Bounds
from aichat_workspace.api.web.limits.connection_limits import ConnectionLimits


@asynccontextmanager
async def serve(
    app: ASGIApp, stopping: asyncio.Event | None = None, limits: ConnectionLimits | None = None
) -> AsyncIterator[str]:
    """Serve until the block ends, and yield the URL; break off open connections at the end."""
    config = uvicorn.Config(
        app,
        http=bounded_protocol(limits or ConnectionLimits.create(Bounds(), (), ())),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
    )
    server = Server(config, stopping or asyncio.Event())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = server.force_exit = True
        await running


def connect_without_reading(url: str, head: str) -> socket.socket:
    """Send a request, and never read the response."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    connection.sendall(f"{head}\r\nHost: api\r\n\r\n".encode())
    return connection
