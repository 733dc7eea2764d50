"""Measure an operator whose resources all exist: rest, drift, changes, restart, deletion."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.foundation.resource import Resource
from benchmarks.cluster.object_watch import watching
from benchmarks.cluster.population import at_once
from benchmarks.comparison import audit_log
from benchmarks.comparison.recording import Recording, Replay
from benchmarks.comparison.stage import MANAGER, NAMESPACES, Process, Stage
from benchmarks.measuring import processes
from benchmarks.measuring.latencies import Latencies, latencies

_QUIET_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 120.0
_REPAIR_SECONDS: Final = 120.0
_DRIFT: Final = 100
_POLL_SECONDS: Final = 0.5
_DRIFTING: Final = ("services", "configmaps")


@dataclass(frozen=True, slots=True)
class Rest:
    """Requests and cost while nothing is to do. `cpu` is a share of one core."""

    requests: Counter[str]
    writes: int
    cpu: float
    rss_mib: float

    def __str__(self) -> str:
        return most_common(self.requests)


def most_common(counted: Counter[str]) -> str:
    """Return the four highest counts, for people."""
    return ", ".join(f"{count} {what}" for what, count in counted.most_common(4))


async def rest(stage: Stage, process: Process, seconds: float) -> Rest:
    await settle(stage)
    position, cpu = stage.audit.end(), processes.cpu_seconds(process.pid)
    with stage.reporting("at rest", lambda: f"watching for {seconds:.0f} s"):
        await asyncio.sleep(seconds)
    share = (processes.cpu_seconds(process.pid) - cpu) / seconds
    events = stage.audit.requests(position)
    writes = sum(map(audit_log.is_write, events))
    return Rest(audit_log.count(events), writes, share, processes.rss_mib(process.pid))


async def settle(stage: Stage) -> float:
    """Wait until the operator sends no requests, for two minutes at most.

    Returns the time of its last request, in seconds since the epoch.
    """
    position, last = stage.audit.end(), time.time()
    deadline = last + _SETTLE_SECONDS
    with stage.reporting("settling", lambda: "waiting for the last request"):
        while time.time() < min(last + _QUIET_SECONDS, deadline):
            await asyncio.sleep(_POLL_SECONDS)
            begun, position = position, stage.audit.end()
            events = stage.audit.requests(begun)
            last = max([last, *map(audit_log.received_at, events)])
    return last


async def drift(stage: Stage, recording: Recording, names: Sequence[str]) -> Latencies:
    """Delete an object of each of a hundred resources at once, and time their return."""
    write = _drifting(recording)
    deleted: dict[tuple[str, str], float] = {}
    times: dict[tuple[str, str], float] = {}
    targets = [Replay(recording, name, "").adapt(write) for name in names[:_DRIFT]]

    def is_back(child: Any) -> bool:
        metadata = child["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        if key in deleted and "deletionTimestamp" not in metadata:
            times.setdefault(key, time.perf_counter() - deleted[key])
        return len(times) == len(targets)

    async def delete(number: int) -> None:
        target = targets[number]
        deleted[(target.namespace, target.name)] = time.perf_counter()
        await stage.admin.delete(target.resource, target.name, target.namespace, uid=None)

    with stage.reporting("drift", lambda: f"{len(times)} of {len(targets)} mended"):
        async with (
            watching(stage.admin, write.resource, is_back) as all_back,
            asyncio.timeout(_REPAIR_SECONDS),
        ):
            await at_once(delete, range(len(targets)))
            await all_back
    return latencies(list(times.values()))


def _drifting(recording: Recording) -> Any:
    """Return the last write of an object whose absence stops no pod."""
    children = [write for write in recording.children if write.namespace]
    preferred = [write for write in children if write.plural in _DRIFTING]
    return (preferred or children)[-1]


async def change(stage: Stage, names: Sequence[str]) -> tuple[float, Latencies]:
    """Change all specs, and return the seconds until all are observed and each one's."""
    begun: dict[str, float] = {}
    times: dict[str, float] = {}

    def is_observed(resource: Any) -> bool:
        metadata = resource["metadata"]
        observed = resource.get("status", {}).get("observedGeneration", 0)
        if metadata["name"] in begun and 1 < metadata["generation"] <= observed:
            times.setdefault(metadata["name"], time.perf_counter() - begun[metadata["name"]])
        return len(times) == len(names)

    async def apply(number: int) -> None:
        begun[names[number]] = time.perf_counter()
        body = stage.subject.changed(names[number])
        await stage.admin.apply(stage.subject.resource, body, field_manager=MANAGER)

    started = time.perf_counter()
    with stage.reporting("spec change", lambda: f"{len(times)} of {len(names)} observed"):
        async with (
            watching(stage.admin, stage.subject.resource, is_observed) as all_observed,
            asyncio.timeout(_REPAIR_SECONDS + len(names)),
        ):
            await at_once(apply, range(len(names)))
            await all_observed
    return time.perf_counter() - started, latencies(list(times.values()))


@dataclass(frozen=True, slots=True)
class Restart:
    """Cost from the start of the process until its last request."""

    seconds: float
    writes: Counter[str]
    reads: int
    cpu_seconds: float
    peak_mib: float


async def restart(stage: Stage) -> Restart:
    """Start the operator and wait until it sends no requests."""
    position, started = stage.audit.end(), time.time()
    async with stage.operator() as process:
        await settle(stage)
        events = stage.audit.requests(position)
        writes = audit_log.count([event for event in events if audit_log.is_write(event)])
        last = max([started, *map(audit_log.received_at, events)])
        return Restart(
            last - started,
            writes,
            len(events) - writes.total(),
            processes.cpu_seconds(process.pid),
            processes.peak_rss_mib(process.pid),
        )


async def delete_resources(stage: Stage, names: Sequence[str], seconds: float) -> float:
    """Delete all resources, and return the seconds until all are gone, finalizers included."""
    return await _delete(stage, stage.subject.resource, stage.subject.namespace, names, seconds)


async def delete_namespaces(stage: Stage, names: Sequence[str], seconds: float) -> float:
    """Delete only the namespaces of these names, and return the cluster's own seconds."""
    return await _delete(stage, NAMESPACES, None, names, seconds)


async def _delete(
    stage: Stage, resource: Resource, namespace: str | None, names: Sequence[str], seconds: float
) -> float:
    remaining = set(names)

    async def delete(number: int) -> None:
        await stage.admin.delete(resource, names[number], namespace, uid=None)

    started = time.perf_counter()
    with stage.reporting("deleting", lambda: f"{len(names) - len(remaining)} of {len(names)} gone"):
        async with asyncio.timeout(seconds):
            await at_once(delete, range(len(names)))
            while remaining:
                remaining &= await _present(stage, resource, namespace)
                if remaining:
                    await asyncio.sleep(_POLL_SECONDS)
    return time.perf_counter() - started


async def _present(stage: Stage, resource: Resource, namespace: str | None) -> set[str]:
    return {
        item["metadata"]["name"]
        async for page in stage.admin.list_pages(resource, namespace)
        for item in page["items"]
    }
