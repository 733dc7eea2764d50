"""The application behind the server that it runs behind, and readers who do not read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from aichat_workspace.api.server import Server
from aichat_workspace.api.web.slow_clients import SlowClientProtocol


@asynccontextmanager
async def serving(app: ASGIApp, stopping: asyncio.Event | None = None) -> AsyncIterator[str]:
    """Its URL. Connections that are still open in the end are broken off."""
    config = uvicorn.Config(
        app,
        http=SlowClientProtocol,
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


def deaf(url: str, head: str) -> socket.socket:
    """Somebody who sends a request, and never reads what comes."""
    host, _, port = url.removeprefix("http://").partition(":")
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.connect((host, int(port)))
    opened.sendall(f"{head}\r\nHost: api\r\n\r\n".encode())
    return opened
