"""What is measured of an operator whose resources are all there."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.foundation.resource import Resource
from benchmarks import audit, processes
from benchmarks.load import Latencies, latencies
from benchmarks.operator import watching
from benchmarks.recording import Recording, Replay
from benchmarks.stage import MANAGER, NAMESPACES, Process, Stage, at_once

_QUIET_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 120.0
_MENDED_SECONDS: Final = 120.0
_DRIFT: Final = 100
_POLL_SECONDS: Final = 0.5
_DRIFTING: Final = ("services", "configmaps")


@dataclass(frozen=True, slots=True)
class Rest:
    """What happened in a while in which nothing was to happen. `cpu` is of one core."""

    requests: Counter[str]
    writes: int
    cpu: float
    rss_mib: float

    def __str__(self) -> str:
        return most_common(self.requests)


def most_common(counted: Counter[str]) -> str:
    """The most of what was counted, for people."""
    return ", ".join(f"{count} {what}" for what, count in counted.most_common(4))


async def rest(stage: Stage, process: Process, seconds: float) -> Rest:
    await settle(stage)
    position, cpu = stage.audit.end(), processes.cpu_seconds(process.pid)
    with stage.telling("at rest", lambda: f"watching for {seconds:.0f} s"):
        await asyncio.sleep(seconds)
    share = (processes.cpu_seconds(process.pid) - cpu) / seconds
    events = stage.audit.requests(position)
    writes = sum(map(audit.is_write, events))
    return Rest(audit.count(events), writes, share, processes.rss_mib(process.pid))


async def settle(stage: Stage) -> float:
    """Wait until the operator has asked nothing for a while, for two minutes at most: when it asked
    last, in seconds since the epoch."""
    position, last = stage.audit.end(), time.time()
    deadline = last + _SETTLE_SECONDS
    with stage.telling("settling", lambda: "waiting for the last request"):
        while time.time() < min(last + _QUIET_SECONDS, deadline):
            await asyncio.sleep(_POLL_SECONDS)
            begun, position = position, stage.audit.end()
            events = stage.audit.requests(begun)
            last = max([last, *map(audit.received_at, events)])
    return last


async def drift(stage: Stage, recording: Recording, names: Sequence[str]) -> Latencies:
    """Delete an object of each of a hundred resources at once: how long each is away."""
    write = _drifting(recording)
    deleted: dict[tuple[str, str], float] = {}
    took: dict[tuple[str, str], float] = {}
    targets = [Replay(recording, name, "").adapt(write) for name in names[:_DRIFT]]

    def is_back(found: Any) -> bool:
        metadata = found["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        if key in deleted and "deletionTimestamp" not in metadata:
            took.setdefault(key, time.perf_counter() - deleted[key])
        return len(took) == len(targets)

    async def delete(number: int) -> None:
        target = targets[number]
        deleted[(target.namespace, target.name)] = time.perf_counter()
        await stage.admin.delete(target.resource, target.name, target.namespace, uid=None)

    with stage.telling("drift", lambda: f"{len(took)} of {len(targets)} mended"):
        async with (
            watching(stage.admin, write.resource, is_back) as all_back,
            asyncio.timeout(_MENDED_SECONDS),
        ):
            await at_once(delete, range(len(targets)))
            await all_back
    return latencies(list(took.values()))


def _drifting(recording: Recording) -> Any:
    """An object whose absence stops no pod."""
    children = [write for write in recording.children if write.namespace]
    preferred = [write for write in children if write.plural in _DRIFTING]
    return (preferred or children)[-1]


async def change(stage: Stage, names: Sequence[str]) -> tuple[float, Latencies]:
    """Change the spec of all: seconds until all are observed, and how long each took."""
    begun: dict[str, float] = {}
    took: dict[str, float] = {}

    def is_observed(found: Any) -> bool:
        metadata = found["metadata"]
        observed = found.get("status", {}).get("observedGeneration", 0)
        if metadata["name"] in begun and 1 < metadata["generation"] <= observed:
            took.setdefault(metadata["name"], time.perf_counter() - begun[metadata["name"]])
        return len(took) == len(names)

    async def apply(number: int) -> None:
        begun[names[number]] = time.perf_counter()
        body = stage.subject.changed(names[number])
        await stage.admin.apply(stage.subject.resource, body, field_manager=MANAGER)

    started = time.perf_counter()
    with stage.telling("spec change", lambda: f"{len(took)} of {len(names)} observed"):
        async with (
            watching(stage.admin, stage.subject.resource, is_observed) as all_observed,
            asyncio.timeout(_MENDED_SECONDS + len(names)),
        ):
            await at_once(apply, range(len(names)))
            await all_observed
    return time.perf_counter() - started, latencies(list(took.values()))


@dataclass(frozen=True, slots=True)
class Restart:
    """From the start of the process until its last request."""

    seconds: float
    writes: Counter[str]
    reads: int
    cpu_seconds: float
    peak_mib: float


async def restart(stage: Stage) -> Restart:
    """The operator is not running: start it, and wait until it is quiet."""
    position, started = stage.audit.end(), time.time()
    async with stage.operator() as process:
        await settle(stage)
        events = stage.audit.requests(position)
        writes = audit.count([event for event in events if audit.is_write(event)])
        last = max([started, *map(audit.received_at, events)])
        return Restart(
            last - started,
            writes,
            len(events) - writes.total(),
            processes.cpu_seconds(process.pid),
            processes.peak_rss_mib(process.pid),
        )


async def delete_resources(stage: Stage, names: Sequence[str], seconds: float) -> float:
    """Delete all resources: seconds until all are gone, with whatever their finalizers wait for."""
    return await _delete(stage, stage.subject.resource, stage.subject.namespace, names, seconds)


async def delete_namespaces(stage: Stage, names: Sequence[str], seconds: float) -> float:
    """Delete the namespaces of these names, and nothing else: what the cluster itself takes."""
    return await _delete(stage, NAMESPACES, None, names, seconds)


async def _delete(
    stage: Stage, resource: Resource, namespace: str | None, names: Sequence[str], seconds: float
) -> float:
    left = set(names)

    async def delete(number: int) -> None:
        await stage.admin.delete(resource, names[number], namespace, uid=None)

    started = time.perf_counter()
    with stage.telling("deleting", lambda: f"{len(names) - len(left)} of {len(names)} gone"):
        async with asyncio.timeout(seconds):
            await at_once(delete, range(len(names)))
            while left:
                left &= await _present(stage, resource, namespace)
                if left:
                    await asyncio.sleep(_POLL_SECONDS)
    return time.perf_counter() - started


async def _present(stage: Stage, resource: Resource, namespace: str | None) -> set[str]:
    return {
        item["metadata"]["name"]
        async for page in stage.admin.list_pages(resource, namespace)
        for item in page["items"]
    }
