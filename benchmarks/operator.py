"""How fast the operator makes and mends workspaces, and what it costs.

The control plane has no nodes: every object is made, and no pod runs. The operator is one process
with its service account's permissions, on the same cores as the API server.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import RESOURCES
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from benchmarks import processes
from benchmarks.controlplane import Plane
from benchmarks.load import Latencies, latencies
from benchmarks.population import MANAGER, WORKSPACE, at_once, name_of, workspace
from benchmarks.report import Row

_REQUESTS: Final = re.compile(
    r'^aichat_api_requests_total\{.*resource="(\w+)",verb="(\w+)"\} (\S+)$', re.MULTILINE
)
_MADE_SECONDS: Final = 600
_MENDED_SECONDS: Final = 60
_SETTLE_SECONDS: Final = 15
_SERVICE: Final = RESOURCES["Service"]
_DEPLOYMENT: Final = RESOURCES["Deployment"]


@dataclass(frozen=True, slots=True)
class Operator:
    url: str
    pid: int
    session: aiohttp.ClientSession

    async def requests(self) -> Counter[str]:
        """Requests to the API server so far, without watches and its lease."""
        async with self.session.get(f"{self.url}/metrics") as answer:
            return requests(await answer.text())


def requests(metrics: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for resource, verb, count in _REQUESTS.findall(metrics):
        if verb != "WATCH" and resource != "leases":
            found[f"{verb} {resource}"] += int(float(count))
    return found


async def measure(plane: Plane, workspaces: int, seconds: float) -> AsyncIterator[Row]:
    """Each figure as soon as it is known."""
    async with (
        await Client.connect(str(plane.kubeconfig), user_agent=MANAGER) as admin,
        aiohttp.ClientSession() as session,
        processes.running(names.OPERATOR, "PROBE_PORT", plane.operator_kubeconfig, session) as (
            url,
            pid,
        ),
    ):
        operator = Operator(url, pid, session)
        for measurement in (_made, _at_rest, _deleted, _changed):
            async for row in measurement(admin, operator, workspaces, seconds):
                yield row


async def _made(
    admin: Client, operator: Operator, workspaces: int, _seconds: float
) -> AsyncIterator[Row]:
    """From the first POST until the status of the last one says that all its objects exist."""
    started, cpu = time.perf_counter(), processes.cpu_seconds(operator.pid)
    missing = {name_of(n) for n in range(workspaces)}

    def are_made(event: Any) -> bool:
        if event["status"].get("isCreated"):
            missing.discard(event["metadata"]["name"])
        return not missing

    async with watching(admin, WORKSPACE, are_made) as last:

        async def make(n: int) -> None:
            body = workspace(name_of(n), names.SYSTEM_NAMESPACE)
            await admin.create(WORKSPACE, body, field_manager=MANAGER)

        await at_once(make, range(workspaces))
        async with asyncio.timeout(_MADE_SECONDS):
            await last
    took = time.perf_counter() - started
    cpu = processes.cpu_seconds(operator.pid) - cpu
    found = await admin.get(WORKSPACE, name_of(0), names.SYSTEM_NAMESPACE)
    objects = len(found["status"]["resources"])
    yield Row(
        f"{workspaces} workspaces of {objects} objects each made",
        f"{took:.1f} s",
        "",
        f"{cpu:.1f} s of CPU, {processes.peak_rss_mib(operator.pid):.0f} MiB at most",
    )


async def _at_rest(
    _admin: Client, operator: Operator, workspaces: int, seconds: float
) -> AsyncIterator[Row]:
    await asyncio.sleep(_SETTLE_SECONDS)
    before, cpu = await operator.requests(), processes.cpu_seconds(operator.pid)
    await asyncio.sleep(seconds)
    asked = await operator.requests() - before
    share = (processes.cpu_seconds(operator.pid) - cpu) / seconds
    memory = processes.rss_mib(operator.pid)
    yield Row(
        f"requests to the API server in {seconds:.0f} s at rest with {workspaces} workspaces",
        str(asked.total()),
        "0",
        f"{share:.1%} of a core, {memory:.0f} MiB{''.join(f', {each}' for each in asked)}",
    )


async def _deleted(
    admin: Client, _operator: Operator, workspaces: int, _seconds: float
) -> AsyncIterator[Row]:
    async def delete(name: str) -> None:
        await admin.delete(_SERVICE, names.openwebui(name), name, uid=None)

    def is_back(event: Any) -> bool:
        return "deletionTimestamp" not in event["metadata"]

    took = await _each(admin, _SERVICE, workspaces, delete, is_back)
    yield Row("a deleted Service is back, one after the other", str(took))


async def _changed(
    admin: Client, _operator: Operator, workspaces: int, _seconds: float
) -> AsyncIterator[Row]:
    """A container that somebody adds is the worst drift: server-side apply alone keeps it."""
    container = {"name": "foreign", "image": "foreign:1"}
    path = "/spec/template/spec/containers/-"

    async def change(name: str) -> None:
        added = [{"op": "add", "path": path, "value": container}]
        await admin.json_patch(
            _DEPLOYMENT, names.openwebui(name), name, added, field_manager="somebody"
        )

    def is_as_before(event: Any) -> bool:
        containers = event["spec"]["template"]["spec"]["containers"]
        return [each["name"] for each in containers] == ["openwebui"]

    took = await _each(admin, _DEPLOYMENT, workspaces, change, is_as_before)
    yield Row("a container added to a Deployment is gone, one after the other", str(took))


async def _each(
    admin: Client,
    resource: Resource,
    workspaces: int,
    disturb: Callable[[str], Any],
    is_mended: Callable[[Any], bool],
) -> Latencies:
    """From the disturbing request until a watch shows the object mended, for each workspace."""
    took: list[float] = []
    for n in range(workspaces):
        name = name_of(n)
        async with watching(admin, resource, is_mended, name) as mended:
            started = time.perf_counter()
            await disturb(name)
            async with asyncio.timeout(_MENDED_SECONDS):
                await mended
        took.append(time.perf_counter() - started)
    return latencies(took)


@asynccontextmanager
async def watching(
    admin: Client, resource: Resource, holds: Callable[[Any], bool], namespace: str | None = None
) -> AsyncIterator["asyncio.Task[None]"]:
    """A task that ends with the first event from now on for which `holds`."""
    page = await anext(admin.list_pages(resource, namespace, page_size=1))
    version: str = page["metadata"]["resourceVersion"]

    async def watch() -> None:
        nonlocal version
        while True:  # the API server ends a watch after a while
            events = admin.watch(resource, resource_version=version, namespace=namespace)
            async for event in events:
                version = event.object["metadata"]["resourceVersion"]
                if event.type in ("ADDED", "MODIFIED") and holds(event.object):
                    return

    task = asyncio.create_task(watch())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
