"""What answers in place of every pod: an Ollama with its models, an Open WebUI without entries.

All workspaces share it, so it keeps no state. It exists so that workspaces become Ready.
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
# The platform's own for documents, which every workspace has, too.
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
        application.router.add_route(method, path, _answering(reply))
    return application


async def serve(address: str) -> None:
    """Until SIGTERM or SIGINT."""
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
def address() -> Iterator[str]:
    """An address of this machine for the time being, of the network that is kept for benchmarks
    (RFC 2544). The API server reaches no pod at a loopback address. Runs side by side differ.

    Raises:
        CalledProcessError: it cannot be added; that takes root.
    """
    own = os.getpid() % 2**16
    chosen = f"198.18.{own // 256}.{own % 256}"
    _ip("add", chosen)
    try:
        yield chosen
    finally:
        _ip("del", chosen)


def _ip(verb: str, chosen: str) -> None:
    command = ("ip", "address", verb, f"{chosen}/32", "dev", "lo")
    subprocess.run(command, check=True, timeout=10)


def _answering(reply: Any) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(reply)

    return answer
