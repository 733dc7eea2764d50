"""Answer in place of all pods, so that workspaces become Ready.

The stand-in is an Ollama with its models and an Open WebUI without entries. All workspaces share
it, so it has no state.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import web

MODELS: Final = ("gemma2:2b", "llama3.2:latest")
# the platform's own for documents, which all workspaces have
_EMBEDDING_MODEL: Final = "nomic-embed-text:latest"
_PORTS: Final = (11434, 8080)
_DIGITS: Final = 64


def _model(name: str) -> dict[str, Any]:
    return {"name": name, "digest": f"{len(name):0{_DIGITS}}", "size": 10**9}


REPLIES: Final[Mapping[tuple[str, str], Any]] = {
    ("GET", "/api/tags"): {"models": [_model(name) for name in (*MODELS, _EMBEDDING_MODEL)]},
    ("POST", "/api/show"): {"capabilities": ["completion"], "modelfile": ""},
    ("POST", "/api/v1/auths/signin"): {"token": "token", "role": "admin"},
    ("GET", "/api/v1/models/base"): [],
}


def application() -> web.Application:
    application = web.Application()
    for (method, path), reply in REPLIES.items():
        application.router.add_route(method, path, _handler(reply))
    return application


async def serve(address: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    for port in _PORTS:
        await web.TCPSite(runner, address, port).start()
    await stopped.wait()
    await runner.cleanup()


@contextmanager
def temporary_address() -> Iterator[str]:
    """Add an address to this machine until the context ends.

    It is of the network for benchmarks (RFC 2544), because the API server reaches no pod at a
    loopback address. Parallel runs have different ones.

    Raises:
        CalledProcessError: it cannot be added; that takes root.
    """
    own = os.getpid() % 2**16
    address = f"198.18.{own // 256}.{own % 256}"
    _ip("add", address)
    try:
        yield address
    finally:
        _ip("del", address)


def _ip(verb: str, address: str) -> None:
    command = ("ip", "address", verb, f"{address}/32", "dev", "lo")
    subprocess.run(command, check=True, timeout=10)


def _handler(reply: Any) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(reply)

    return answer
