"""How long `aichatctl` takes, from its start to its end."""

import json
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.measuring.latencies import Latencies, latencies
from benchmarks.measuring.report import Row

PROGRAM: Final = "aichatctl"
_HELP_GOAL: Final = "p50 < 300 ms"
_LIST_GOAL: Final = "p50 < 500 ms"


def measure(runs: int, workspaces: int) -> Iterator[Row]:
    """Time --help, and a list from a server on loopback that answers at once."""
    yield _row("aichatctl --help", _HELP_GOAL, [PROGRAM, "--help"], {}, runs)
    with _answering(_documents(workspaces)) as address:
        environment = {"AICHAT_SERVER": address, "AICHAT_TOKEN": "any"}
        for form in ("table", "json"):
            what = f"aichatctl list -o {form}, {workspaces} workspaces"
            command = [PROGRAM, "list", "-o", form]
            yield _row(what, _LIST_GOAL, command, environment, runs)


def _row(what: str, goal: str, command: list[str], environment: dict[str, str], runs: int) -> Row:
    """Time a command, and count the CPU that it takes on the average."""
    _time(command, environment, 1)  # fills caches
    before = _cpu_seconds()
    figure = _time(command, environment, runs)
    milliseconds = (_cpu_seconds() - before) / runs * 1_000
    return Row(what, str(figure), goal, f"{milliseconds:.0f} ms of CPU")


def _cpu_seconds() -> float:
    """Return the CPU time of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _time(command: list[str], environment: dict[str, str], runs: int) -> Latencies:
    """Return how long a command takes."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        subprocess.run(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=True
        )
        times.append(time.perf_counter() - begin)
    return latencies(times)


def _documents(count: int) -> bytes:
    status = {"phase": "Ready", "modelsReady": "1/1", "url": "https://chat.example.org"}
    items = [
        {
            "name": f"chat-{number}",
            "team": "team",
            "created": "2026-01-01T00:00:00Z",
            "spec": {"workspaceName": f"chat-{number}", "models": ["gemma2:2b"]},
            "status": status,
        }
        for number in range(count)
    ]
    return json.dumps({"items": items, "nextPage": None}).encode()


@contextmanager
def _answering(body: bytes) -> Iterator[str]:
    """Answer every request with a document until the block ends; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing among the figures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
