"""The API as a process: started, looked at from outside, ended."""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from aichat_workspace.domain import names
from benchmarks import processes
from benchmarks.processes import cpu_seconds, rss_mib

_UPSTREAM: Final = re.compile(
    r'^aichat_api_kubernetes_requests_total\{.*resource="(\w+)",verb="(\w+)"\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Look:
    """The process at one moment. `upstream` counts its requests to the Kubernetes API server;
    a watch counts as it ends."""

    at: float
    cpu_seconds: float
    rss_mib: float
    upstream: Counter[str]

    def cpu_since(self, before: "Look") -> float:
        """Of one core."""
        return (self.cpu_seconds - before.cpu_seconds) / (self.at - before.at)

    def asked_since(self, before: "Look") -> str:
        asked = self.upstream - before.upstream
        own = asked.pop("watches", 0)
        reviews = asked.pop("reviews", 0)
        return f"{asked.total()}, {reviews} reviews, {own} renewals of its own watches"


def upstream(metrics: str) -> Counter[str]:
    """Requests to the Kubernetes API server by what they were about."""
    asked: Counter[str] = Counter()
    for resource, verb, count in _UPSTREAM.findall(metrics):
        asked["watches" if verb == "WATCH" else resource] += int(float(count))
    return asked


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int
    session: aiohttp.ClientSession

    async def look(self) -> Look:
        async with self.session.get(f"{self.url}/metrics") as answer:
            text = await answer.text()
        return Look(time.monotonic(), cpu_seconds(self.pid), rss_mib(self.pid), upstream(text))


@asynccontextmanager
async def running(kubeconfig: Path, session: aiohttp.ClientSession) -> AsyncIterator[Server]:
    async with processes.running(names.API, "API_PORT", kubeconfig, session) as (url, pid):
        yield Server(url, pid, session)
