"""Run the API as a process and sample its cost."""

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
from benchmarks.measuring import processes
from benchmarks.measuring.processes import cpu_seconds, rss_mib
from localcluster.ports import free_port

_UPSTREAM: Final = re.compile(
    r'^aichat_api_kube_requests_total\{.*resource="(\w+)",verb="(\w+)"\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment, in monotonic seconds.

    `upstream` counts its requests to the Kubernetes API server; a watch counts as it ends.
    """

    time: float
    cpu_seconds: float
    rss_mib: float
    upstream: Counter[str]

    def cpu_since(self, before: "Sample") -> float:
        """Return the share of one core since an earlier sample."""
        return (self.cpu_seconds - before.cpu_seconds) / (self.time - before.time)

    def upstream_since(self, before: "Sample") -> str:
        """Describe the requests to the Kubernetes API server since an earlier sample."""
        counts = self.upstream - before.upstream
        own = counts.pop("watches", 0)
        reviews = counts.pop("reviews", 0)
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()) if count)
        others = f"{counts.total()} ({kinds})" if kinds else "0"
        return f"{others}, {reviews} reviews, {own} renewals of its own watches"


def upstream(metrics: str) -> Counter[str]:
    """Count requests to the Kubernetes API server by resource."""
    counts: Counter[str] = Counter()
    for resource, verb, count in _UPSTREAM.findall(metrics):
        counts["watches" if verb == "WATCH" else resource] += int(float(count))
    return counts


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    probes: str
    pid: int
    session: aiohttp.ClientSession

    async def sample(self) -> Sample:
        async with self.session.get(f"{self.probes}/metrics") as response:
            text = await response.text()
        return Sample(time.monotonic(), cpu_seconds(self.pid), rss_mib(self.pid), upstream(text))


@asynccontextmanager
async def running(kubeconfig: Path, session: aiohttp.ClientSession) -> AsyncIterator[Server]:
    port = free_port()
    settings = {
        "API_PORT": str(port),
        # All callers come from one address, as they do through an ingress controller.
        "API_TRUSTED_PROXIES": "127.0.0.1/32",
    }
    running = processes.running(names.API, "API_PROBE_PORT", kubeconfig, session, **settings)
    async with running as (probes, pid):
        yield Server(f"http://127.0.0.1:{port}", probes, pid, session)
