"""The API as a process under attack: its Kubernetes API server, a good caller, and raw sockets."""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from aichat_workspace.domain import names
from localcluster.ports import free_port
from tests.fakes.reviews import FakeReviews, Object
from tests.unit.api.samples import resource

PATH: Final = "/api/v1/workspaces"
SYSTEM: Final = names.SYSTEM_NAMESPACE
MIB: Final = 1024 * 1024
_REVIEW_SECONDS: Final = 0.004


def _user(token: str) -> Object | None:
    username, _, credential = token.partition("#")
    if username.startswith("bad"):
        return None
    extra = {"authentication.kubernetes.io/credential-id": [credential]}
    return {"username": username, "groups": ["system:authenticated"], "extra": extra}


@dataclass
class FakeApiServer:
    """Knows teams, one workspace and all tokens; `root` may do everything, others nothing.

    A token is `USERNAME#ID`; the ID is a credential's. Tokens that begin with `bad` are refused.
    """

    teams: Sequence[str]
    reviews: FakeReviews = field(init=False)

    def __post_init__(self) -> None:
        self.reviews = FakeReviews(self._allows, _user)

    @property
    def access_reviews(self) -> int:
        return len(self.reviews.specs)

    def _allows(self, _: Object) -> bool:
        return bool(self.reviews.specs[-1]["user"] == "root")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return await self._answer_write(request)
        if request.query.get("watch"):
            stream = web.StreamResponse()
            await stream.prepare(request)
            await asyncio.sleep(600)
        return web.json_response(
            {"metadata": {"resourceVersion": "1"}, "items": self._items(request.path)}
        )

    async def _answer_write(self, request: web.Request) -> web.Response:
        body = await request.json()
        if request.path.endswith("/tokenreviews"):
            return web.json_response(self.reviews.answer(body))
        if request.path.endswith("/subjectaccessreviews"):
            answer = self.reviews.answer(body)
            await asyncio.sleep(_REVIEW_SECONDS)
            return web.json_response(answer)
        created = {"uid": "new", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
        return web.json_response({**body, "metadata": {**body["metadata"], **created}})

    def _items(self, path: str) -> list[dict[str, Any]]:
        if path.endswith("/namespaces"):
            labels = {names.TEAM_LABEL: "true"}
            return [
                {"metadata": {"name": team, "uid": team, "resourceVersion": "1", "labels": labels}}
                for team in self.teams
            ]
        if path.endswith("/aichatworkspaces"):
            return [resource("chat", team=SYSTEM)]
        return []


@dataclass
class AttackedApi:
    """The API's process, and what it has held."""

    url: str
    port: int
    kubernetes: FakeApiServer
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession
    statuses: list[int] = field(default_factory=list)
    """What the good caller got."""

    async def report(self) -> dict[str, float]:
        """Return the tasks now, and the longest turn of the event loop since the last report."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        report: dict[str, float] = json.loads(await self.process.stdout.readline())
        return report

    def memory_bytes(self, line: str = "VmRSS") -> int:
        """Return the process's resident memory, or with VmHWM its peak since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(rf"^{line}:\s+(\d+) kB", status, re.MULTILINE)
        assert match is not None
        return int(match[1]) * 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    async def ask(self) -> None:
        """Ask as a good caller for a workspace, and send one to check, from another address."""
        headers = {"Authorization": "Bearer root#1", "X-Forwarded-For": "198.51.100.1"}
        body = {"spec": {"workspaceName": "another"}}
        async with self.http.get(f"{self.url}{PATH}/chat", headers=headers) as answer:
            self.statuses.append(answer.status)
        check = self.http.post(f"{self.url}{PATH}?dryRun=true", json=body, headers=headers)
        async with check as answer:
            self.statuses.append(answer.status)

    async def ask_until(self, end: asyncio.Event) -> None:
        while not end.is_set():
            await self.ask()
            await asyncio.sleep(0.05)

    def connect(self, address: str = "127.0.0.1") -> socket.socket:
        """Open a connection from an address of the loopback network; it never blocks."""
        connection = socket.socket()
        connection.bind((address, 0))
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", self.port))
        return connection


@asynccontextmanager
async def attacked_api(folder: Path, teams: int, **environment: str) -> AsyncIterator[AttackedApi]:
    """Start the API, and yield it once the good caller is served and all is warm."""
    kubernetes = FakeApiServer([f"team-{number:03}" for number in range(teams)])
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", kubernetes.answer)
    async with AsyncExitStack() as stack:
        server = TestServer(app)
        await server.start_server(shutdown_timeout=0.1)
        stack.push_async_callback(server.close)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(_kubeconfig(str(server.make_url(""))))
        port, probe_port = free_port(), free_port()
        settings = {
            "ENV": "dev",
            "KUBECONFIG": str(kubeconfig),
            "API_PORT": str(port),
            "API_PROBE_PORT": str(probe_port),
            "API_TRUSTED_PROXIES": "127.0.0.1/32",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            "tests.unit.api.measured_server",
            env={**os.environ, **settings, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        stack.push_async_callback(_end, process)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        api = AttackedApi(f"http://127.0.0.1:{port}", port, kubernetes, process, http)
        await _wait_ready(http, f"http://127.0.0.1:{probe_port}/readyz")
        for _ in range(20):
            await api.ask()
        api.statuses.clear()
        await api.report()
        yield api


async def _wait_ready(http: aiohttp.ClientSession, probe: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(aiohttp.ClientError):
                async with http.get(probe) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": server.rstrip("/")}}],
            "users": [{"name": "it", "user": {"token": "it"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }
    )


def head(method: str, path: str, token: str, *lines: str) -> bytes:
    """Return a request's head."""
    begin = [f"{method} {path} HTTP/1.1", "Host: api", f"Authorization: Bearer {token}", *lines]
    return ("\r\n".join(begin) + "\r\n\r\n").encode()


async def send_all(connection: socket.socket, data: bytes, seconds: float = 2.0) -> None:
    """Send what the server takes within some seconds."""
    loop = asyncio.get_running_loop()
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(seconds):
            await loop.sock_sendall(connection, data)


async def until_idle(api: AttackedApi, tasks: float) -> None:
    """Wait until the process has no more tasks than before, and asks Kubernetes nothing."""
    report = await api.report()
    async with asyncio.timeout(60):
        while report["tasks"] > tasks:
            await asyncio.sleep(0.05)
            report = await api.report()
    reviews = api.kubernetes.access_reviews
    await asyncio.sleep(0.3)
    assert api.kubernetes.access_reviews == reviews
