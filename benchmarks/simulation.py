"""The operator before a simulated fleet: what it costs to know thousands, and to change all."""

import asyncio
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

from benchmarks import processes
from benchmarks.audit import Event
from benchmarks.fleet import Fleet, Listing, listing, merge
from benchmarks.load import Latencies, latencies
from benchmarks.report import Figure, Goal
from benchmarks.stage import Process, Stage, memory_goal
from benchmarks.subject import Subject
from localcluster.ports import free_port
from localcluster.progress import Report

_SELECTORS: Final = ("labelSelector", "fieldSelector")
_DRIFT: Final = 100
_IDLE_SECONDS: Final = 5
_IDLE_CPU_SECONDS: Final = 0.1  # in a second
_MOST_SECONDS: Final = 1_800.0


async def read_listings(stage: Stage, events: Iterable[Event], name: str) -> dict[str, Listing]:
    """What the operator has listed, as it is now, by path. `name` is the one resource there is."""
    texts: dict[str, str] = {}
    for event in events:
        uri = urlsplit(event["requestURI"])
        if event["verb"] == "list" and event["responseStatus"].get("code") == 200:
            query = {key: value for key, value in parse_qsl(uri.query) if key in _SELECTORS}
            async with stage.admin.stream("GET", uri.path, query=query, counted_as="list") as found:
                texts[uri.path] = b"".join([chunk async for chunk in found.chunks]).decode()
    items = [item for text in texts.values() for item in orjson.loads(text)["items"]]
    uids = [item["metadata"]["uid"] for item in items if name.encode() in orjson.dumps(item)]
    return {path: listing(text, name, uids) for path, text in texts.items()}


@dataclass(frozen=True, slots=True)
class Simulation:
    subject: Subject
    fleet: Fleet
    folder: Path
    report: Report

    async def measure(self) -> AsyncIterator[Figure]:
        """First all objects are written anew, as after an upgrade of the operator: copies have the
        recorded one's digests. From then on there is nothing to do."""
        async with self._serving() as kubeconfig:
            begun = time.time()
            async with self._operator(kubeconfig) as process:
                last = await self._settle(process, "first start")
                cpu = processes.cpu_seconds(process.pid)
                what = f"first start, {self.fleet.writes} writes, until at rest"
                yield self._figure("first_start_seconds", what, last - begun)
                what = "CPU of that, for each"
                yield self._figure("first_start_cpu_ms", what, self._each_ms(cpu), unit="ms")
            begun, writes = time.time(), self.fleet.writes
            async with self._operator(kubeconfig) as process:
                last = await self._settle(process, "restart")
                for figure in self._after_restart(process, last - begun, writes):
                    yield figure
                took = await self._mend(process)
                what = f"{len(took.seconds)} objects gone at once are written, p99"
                yield self._figure("drift_p99_seconds", what, took.at(0.99), Goal(1))
                async for figure in self._change(process):
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
                "restart_cpu_ms", "CPU of the restart, for each", self._each_ms(cpu), unit="ms"
            ),
            self._figure("restart_writes", "writes after the restart", writes, Goal(0), ""),
            self._figure("memory_mib", f"memory, {objects} objects", peak, goal, "MiB"),
        ]

    async def _mend(self, process: Process) -> Latencies:
        """Objects go away at once: how long until each is written."""
        gone: dict[str, float] = {}
        took: dict[str, float] = {}
        plural = self._drifting_plural()

        def on_write(written: str, body: Any) -> None:
            uid = body["metadata"]["uid"]
            if written == plural and uid in gone:
                took.setdefault(uid, time.perf_counter() - gone[uid])

        self.fleet.on_write = on_write
        for path, body in self.fleet.copies(plural, _DRIFT):
            gone[body["metadata"]["uid"]] = time.perf_counter()
            self.fleet.remove(path, body)
        await self._settle(process, "drift")
        if len(took) < len(gone):
            raise RuntimeError(f"{len(gone) - len(took)} objects that went away were not written")
        return latencies(list(took.values()))

    def _drifting_plural(self) -> str:
        plurals = self.fleet.plurals
        return "services" if "services" in plurals else plurals[-1]

    async def _change(self, process: Process) -> AsyncIterator[Figure]:
        """Every spec changes at once, as by a GitOps tool."""
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
        yield self._figure("change_cpu_ms", what, self._each_ms(cpu), unit="ms")
        what = "specs observed"
        goal = Goal(count, at_most=False)
        yield self._figure("change_observed", what, len(observed), goal, "")

    async def _settle(self, process: Process, step: str) -> float:
        """Wait until the operator neither asks nor works for a while: since when, in seconds since
        the epoch. Raises TimeoutError after half an hour."""
        begun = busy = time.time()
        while time.time() - busy < _IDLE_SECONDS:
            cpu = processes.cpu_seconds(process.pid)
            await asyncio.sleep(1)
            if process.returncode is not None:
                raise RuntimeError("the operator has ended")
            works = processes.cpu_seconds(process.pid) - cpu > _IDLE_CPU_SECONDS
            busy = time.time() if works else max(busy, self.fleet.asked_at)
            self.report(self._what, f"{step}: {self.fleet.writes} writes")
            if busy - begun > _MOST_SECONDS:
                raise TimeoutError(f"the operator is not at rest after {_MOST_SECONDS:.0f} s")
        return busy

    @property
    def _what(self) -> str:
        return f"simulated fleet, N = {len(self.fleet.names)}"

    def _each_ms(self, seconds: float) -> float:
        return seconds / len(self.fleet.names) * 1000

    def _figure(
        self, key: str, what: str, value: float, goal: Goal | None = None, unit: str = "s"
    ) -> Figure:
        count = len(self.fleet.names)
        return Figure(count, f"fleet_{key}", f"simulated fleet: {what}", value, unit, goal)

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[Path]:
        """The fleet's API server, and a kubeconfig for it."""
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
