"""Measure the operator on a simulated fleet: its cost for thousands, and for a change of all."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson
import yaml
from aiohttp import web

from benchmarks.cluster.population import name_of
from benchmarks.comparison.audit_log import Event
from benchmarks.comparison.fleet import Fleet, Listing, listing, merge
from benchmarks.comparison.stage import Process, Stage, memory_goal
from benchmarks.comparison.subject import Subject
from benchmarks.measuring import processes
from benchmarks.measuring.latencies import Latencies, latencies
from benchmarks.measuring.report import Figure, Goal
from localcluster.ports import free_port
from localcluster.progress import Report

_SELECTORS: Final = ("labelSelector", "fieldSelector")
_DRIFT: Final = 100
_WRITTEN: Final = 50
_IDLE_SECONDS: Final = 5
_IDLE_CPU_SECONDS: Final = 0.1  # in a second
_MAX_SECONDS: Final = 1_800.0


async def read_listings(stage: Stage, events: Iterable[Event], name: str) -> dict[str, Listing]:
    """List all that the operator has listed, by path. `name` is the only resource."""
    texts: dict[str, str] = {}
    for event in events:
        uri = urlsplit(event["requestURI"])
        if event["verb"] == "list" and event["responseStatus"].get("code") == 200:
            query = {key: value for key, value in parse_qsl(uri.query) if key in _SELECTORS}
            async with stage.admin.stream(
                "GET", uri.path, query=query, counted_as="list"
            ) as response:
                chunks = [chunk async for chunk in response.chunks]
                texts[uri.path] = b"".join(chunks).decode()
    items = [item for text in texts.values() for item in orjson.loads(text)["items"]]
    uids = [item["metadata"]["uid"] for item in items if name.encode() in orjson.dumps(item)]
    return {path: listing(text, name, uids) for path, text in texts.items()}


@dataclass(frozen=True, slots=True)
class Simulation:
    subject: Subject
    fleet: Fleet
    folder: Path
    recording_file: Path
    report: Report

    async def measure(self) -> AsyncIterator[Figure]:
        """Yield each figure as soon as it is known.

        The first start writes all objects again, as after an upgrade of the operator, because
        copies have the digests of the recorded object.
        """
        async with self._serving() as kubeconfig:
            begun = time.time()
            async with self._operator(kubeconfig) as process:
                last = await self._settle(process, "first start")
                cpu = processes.cpu_seconds(process.pid)
                what = f"first start, {self.fleet.writes} writes, until at rest"
                yield self._figure("first_start_seconds", what, last - begun)
                what = "CPU of that, for each"
                yield self._figure(
                    "first_start_cpu_ms", what, self._ms_per_workspace(cpu), unit="ms"
                )
            write_ms = await self._write_ms(kubeconfig)
            begun, writes = time.time(), self.fleet.writes
            async with self._operator(kubeconfig) as process:
                last = await self._settle(process, "restart")
                for figure in self._after_restart(process, last - begun, writes):
                    yield figure
                times = await self._time_repairs(process)
                what = f"{len(times.seconds)} objects gone at once are written, p99"
                yield self._figure("drift_p99_seconds", what, times.quantile(0.99), Goal(1))
                async for figure in self._change(process):
                    yield figure
                async for figure in self._upgrade(process, write_ms):
                    yield figure

    @asynccontextmanager
    async def _operator(self, kubeconfig: Path) -> AsyncIterator[Process]:
        environment = {"KUBECONFIG": str(kubeconfig), "ENV": "dev", "PROBE_PORT": "0"}
        log = self.folder / "operator.log"
        async with processes.started(self.subject.command, environment, log) as process:
            yield process

    def _after_restart(self, process: Process, seconds: float, before: int) -> list[Figure]:
        cpu, writes = processes.cpu_seconds(process.pid), self.fleet.writes - before
        peak, objects = processes.peak_rss_mib(process.pid), self.fleet.objects
        goal = Goal(memory_goal(objects))
        return [
            self._figure("restart_seconds", "restart, until at rest", seconds, Goal(10)),
            self._figure(
                "restart_cpu_ms",
                "CPU of the restart, for each",
                self._ms_per_workspace(cpu),
                unit="ms",
            ),
            self._figure("restart_writes", "writes after the restart", writes, Goal(0), ""),
            self._figure("memory_mib", f"memory, {objects} objects", peak, goal, "MiB"),
        ]

    async def _time_repairs(self, process: Process) -> Latencies:
        """Remove objects at once, and time the write of each."""
        gone: dict[str, float] = {}
        times: dict[str, float] = {}
        plural = self._drifting_plural()

        def on_write(written: str, body: Any) -> None:
            uid = body["metadata"]["uid"]
            if written == plural and uid in gone:
                times.setdefault(uid, time.perf_counter() - gone[uid])

        self.fleet.on_write = on_write
        for path, body in self.fleet.copies(plural, _DRIFT):
            gone[body["metadata"]["uid"]] = time.perf_counter()
            self.fleet.remove(path, body)
        await self._settle(process, "drift")
        if len(times) < len(gone):
            raise RuntimeError(f"{len(gone) - len(times)} objects that went away were not written")
        return latencies(list(times.values()))

    def _drifting_plural(self) -> str:
        plurals = self.fleet.plurals
        return "services" if "services" in plurals else plurals[-1]

    async def _change(self, process: Process) -> AsyncIterator[Figure]:
        """Change all specs at once, as a GitOps tool would."""
        observed: set[str] = set()
        plural, begun = self.subject.resource.plural, time.time()

        def on_write(written: str, body: Any) -> None:
            generation = body.get("status", {}).get("observedGeneration", 0)
            if written == plural and generation == body["metadata"].get("generation"):
                observed.add(body["metadata"]["uid"])

        self.fleet.on_write = on_write
        cpu, writes = processes.cpu_seconds(process.pid), self.fleet.writes
        for path, body in self.fleet.copies(plural, len(self.fleet.names)):
            changed = merge(body, dict(self.subject.change))
            changed["metadata"]["generation"] = body["metadata"].get("generation", 1) + 1
            self.fleet.put(path, self.fleet.place_of(path, body), changed)
        last = await self._settle(process, "spec change")
        cpu = processes.cpu_seconds(process.pid) - cpu
        count, wrote = len(self.fleet.names), self.fleet.writes - writes
        yield self._figure("change_seconds", "every spec changed, until at rest", last - begun)
        what = f"CPU of that, for each ({wrote / count:.1f} writes)"
        yield self._figure("change_cpu_ms", what, self._ms_per_workspace(cpu), unit="ms")
        what = "specs observed"
        goal = Goal(count, at_most=False)
        yield self._figure("change_observed", what, len(observed), goal, "")

    async def _upgrade(self, process: Process, write_ms: float) -> AsyncIterator[Figure]:
        """Change the pods of all by one edit of the platform. Pods are available at once."""
        if self.subject.upgrade is None:
            return
        changed: set[str] = set()
        begun, plural = time.time(), "statefulsets"
        writes, cpu = self.fleet.writes, processes.cpu_seconds(process.pid)

        def on_write(written: str, body: Any) -> None:
            if written == plural:
                changed.add(body["metadata"]["uid"])

        self.fleet.on_write = on_write
        path, body = self.subject.upgrade
        self.fleet.add(path, dict(body))
        last = await self._settle(process, "upgrade")
        cpu = processes.cpu_seconds(process.pid) - cpu
        count, wrote = len(self.fleet.names), self.fleet.writes - writes
        what = "the pods of all changed in turns of 64, until at rest"
        yield self._figure("upgrade_seconds", what, last - begun)
        what = f"CPU of that, for each ({wrote / count:.1f} writes)"
        yield self._figure("upgrade_cpu_ms", what, self._ms_per_workspace(cpu), unit="ms")
        what = f"CPU of that besides its writes, at {write_ms:.2f} ms a write"
        besides = cpu - wrote * write_ms / 1000
        yield self._figure("upgrade_decision_seconds", what, besides, Goal(10))
        goal = Goal(count, at_most=False)
        yield self._figure("upgrade_changed", "pods changed", len(changed), goal, "")

    async def _write_ms(self, kubeconfig: Path) -> float:
        """Return the null writer's CPU for one write, in milliseconds. It writes what no resource
        of the fleet has."""
        environment = {"KUBECONFIG": str(kubeconfig)}
        command = (sys.executable, "-m", "benchmarks", "null-writer", str(self.recording_file))
        log = self.folder / "null-writer.log"
        async with processes.started(command, environment, log, has_pipes=True) as process:
            requests, replies = process.stdin, process.stdout
            if requests is None or replies is None:
                raise RuntimeError("the null writer has no pipes")
            await replies.readline()
            writes, cpu = self.fleet.writes, processes.cpu_seconds(process.pid)
            for number in range(_WRITTEN):
                requests.write(f"{name_of(9_000 + number)} uid-{number:04}\n".encode())
            for _ in range(_WRITTEN):
                await replies.readline()
            seconds = processes.cpu_seconds(process.pid) - cpu
            return seconds / max(self.fleet.writes - writes, 1) * 1000

    async def _settle(self, process: Process, step: str) -> float:
        """Wait until the operator is idle, and return since when, in seconds since the epoch.

        Raises:
            TimeoutError: it is not idle after half an hour.
            RuntimeError: it has ended.
        """
        begun = busy = time.time()
        while time.time() - busy < _IDLE_SECONDS:
            cpu = processes.cpu_seconds(process.pid)
            await asyncio.sleep(1)
            if process.returncode is not None:
                raise RuntimeError("the operator has ended")
            is_busy = processes.cpu_seconds(process.pid) - cpu > _IDLE_CPU_SECONDS
            busy = time.time() if is_busy else max(busy, self.fleet.requested_at)
            self.report(self._what, f"{step}: {self.fleet.writes} writes")
            if busy - begun > _MAX_SECONDS:
                raise TimeoutError(f"the operator is not at rest after {_MAX_SECONDS:.0f} s")
        return busy

    @property
    def _what(self) -> str:
        return f"simulated fleet, N = {len(self.fleet.names)}"

    def _ms_per_workspace(self, seconds: float) -> float:
        return seconds / len(self.fleet.names) * 1000

    def _figure(
        self, key: str, what: str, value: float, goal: Goal | None = None, unit: str = "s"
    ) -> Figure:
        count = len(self.fleet.names)
        return Figure(count, f"fleet_{key}", f"simulated fleet: {what}", value, unit, goal)

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[Path]:
        """Serve the fleet until the context ends, and give a kubeconfig."""
        runner = web.AppRunner(self.fleet.application(), access_log=None)
        await runner.setup()
        port = free_port()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, shutdown_timeout=1).start()
            kubeconfig = self.folder / "fleet.kubeconfig"
            kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{port}"))
            yield kubeconfig
        finally:
            await runner.cleanup()


def _kubeconfig(server: str) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fleet",
        "clusters": [{"name": "fleet", "cluster": {"server": server}}],
        "users": [{"name": "fleet", "user": {"token": "none"}}],
        "contexts": [{"name": "fleet", "context": {"cluster": "fleet", "user": "fleet"}}],
    }
    return yaml.safe_dump(document)
