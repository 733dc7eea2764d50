"""Measure how fast the operator creates and repairs workspaces, and its cost.

The control plane has no nodes: every object is created, and no pod runs. The operator is one
process with its service account's permissions, on the same cores as the API server.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import RESOURCES
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from benchmarks.cluster.control_plane import Plane
from benchmarks.cluster.object_watch import watching
from benchmarks.cluster.population import MANAGER, WORKSPACE, at_once, name_of, workspace
from benchmarks.measuring import processes
from benchmarks.measuring.latencies import Latencies, latencies
from benchmarks.measuring.report import Row

_REQUESTS: Final = re.compile(
    r'^aichat_operator_kube_requests_total\{.*resource="(\w+)",verb="(\w+)"\} (\S+)$', re.MULTILINE
)
_CREATED_SECONDS: Final = 600
_REPAIR_SECONDS: Final = 60
_SETTLE_SECONDS: Final = 15
_SERVICE: Final = RESOURCES["Service"]
_DEPLOYMENT: Final = RESOURCES["Deployment"]


@dataclass(frozen=True, slots=True)
class Operator:
    url: str
    pid: int
    session: aiohttp.ClientSession

    async def requests(self) -> Counter[str]:
        """Count the requests to the API server so far, without watches and its lease."""
        async with self.session.get(f"{self.url}/metrics") as response:
            return requests(await response.text())


def requests(metrics: str) -> Counter[str]:
    """Count requests by verb and resource, without watches and leases."""
    counts: Counter[str] = Counter()
    for resource, verb, count in _REQUESTS.findall(metrics):
        if verb != "WATCH" and resource != "leases":
            counts[f"{verb} {resource}"] += int(float(count))
    return counts


async def measure(plane: Plane, workspaces: int, seconds: float) -> AsyncIterator[Row]:
    """Yield each figure as soon as it is known."""
    async with (
        await Client.connect(str(plane.kubeconfig), user_agent=MANAGER) as admin,
        aiohttp.ClientSession() as session,
        processes.running(names.OPERATOR, "PROBE_PORT", plane.operator_kubeconfig, session) as (
            url,
            pid,
        ),
    ):
        operator = Operator(url, pid, session)
        for measurement in (_measure_creation, _measure_rest, _measure_deletion, _measure_drift):
            async for row in measurement(admin, operator, workspaces, seconds):
                yield row


async def _measure_creation(
    admin: Client, operator: Operator, workspaces: int, _seconds: float
) -> AsyncIterator[Row]:
    """Measure from the first POST until the last status says that all objects exist."""
    started, cpu = time.perf_counter(), processes.cpu_seconds(operator.pid)
    missing = {name_of(n) for n in range(workspaces)}

    def are_created(event: Any) -> bool:
        if event["status"].get("isCreated"):
            missing.discard(event["metadata"]["name"])
        return not missing

    async with watching(admin, WORKSPACE, are_created) as all_created:

        async def create(n: int) -> None:
            body = workspace(name_of(n), names.SYSTEM_NAMESPACE)
            await admin.create(WORKSPACE, body, field_manager=MANAGER)

        await at_once(create, range(workspaces))
        async with asyncio.timeout(_CREATED_SECONDS):
            await all_created
    seconds = time.perf_counter() - started
    cpu = processes.cpu_seconds(operator.pid) - cpu
    created = await admin.get(WORKSPACE, name_of(0), names.SYSTEM_NAMESPACE)
    objects = len(created["status"]["resources"])
    yield Row(
        f"{workspaces} workspaces of {objects} objects each made",
        f"{seconds:.1f} s",
        "",
        f"{cpu:.1f} s of CPU, {processes.peak_rss_mib(operator.pid):.0f} MiB at most",
    )


async def _measure_rest(
    _admin: Client, operator: Operator, workspaces: int, seconds: float
) -> AsyncIterator[Row]:
    await asyncio.sleep(_SETTLE_SECONDS)
    before, cpu = await operator.requests(), processes.cpu_seconds(operator.pid)
    await asyncio.sleep(seconds)
    requests_at_rest = await operator.requests() - before
    share = (processes.cpu_seconds(operator.pid) - cpu) / seconds
    memory = processes.rss_mib(operator.pid)
    kinds = "".join(f", {kind}" for kind in requests_at_rest)
    yield Row(
        f"requests to the API server in {seconds:.0f} s at rest with {workspaces} workspaces",
        str(requests_at_rest.total()),
        "0",
        f"{share:.1%} of a core, {memory:.0f} MiB{kinds}",
    )


async def _measure_deletion(
    admin: Client, _operator: Operator, workspaces: int, _seconds: float
) -> AsyncIterator[Row]:
    async def delete(name: str) -> None:
        await admin.delete(_SERVICE, names.openwebui(name), name, uid=None)

    def is_back(event: Any) -> bool:
        return "deletionTimestamp" not in event["metadata"]

    times = await _time_repairs(admin, _SERVICE, workspaces, delete, is_back)
    yield Row("a deleted Service is back, one after the other", str(times))


async def _measure_drift(
    admin: Client, _operator: Operator, workspaces: int, _seconds: float
) -> AsyncIterator[Row]:
    """Add a container: the worst drift, because server-side apply alone keeps it."""
    container = {"name": "foreign", "image": "foreign:1"}
    path = "/spec/template/spec/containers/-"

    async def change(name: str) -> None:
        patch = [{"op": "add", "path": path, "value": container}]
        await admin.json_patch(
            _DEPLOYMENT, names.openwebui(name), name, patch, field_manager="drift"
        )

    def is_as_before(event: Any) -> bool:
        containers = event["spec"]["template"]["spec"]["containers"]
        return [container["name"] for container in containers] == ["openwebui"]

    times = await _time_repairs(admin, _DEPLOYMENT, workspaces, change, is_as_before)
    yield Row("a container added to a Deployment is gone, one after the other", str(times))


async def _time_repairs(
    admin: Client,
    resource: Resource,
    workspaces: int,
    disturb: Callable[[str], Any],
    is_repaired: Callable[[Any], bool],
) -> Latencies:
    """Time from each disturbing request until a watch shows the object repaired."""
    times: list[float] = []
    for n in range(workspaces):
        name = name_of(n)
        async with watching(admin, resource, is_repaired, name) as repaired:
            started = time.perf_counter()
            await disturb(name)
            async with asyncio.timeout(_REPAIR_SECONDS):
                await repaired
        times.append(time.perf_counter() - started)
    return latencies(times)
