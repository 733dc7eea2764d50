"""Compare the operator with the null writer, as ratios of one run.

Each number of resources takes three equal control planes: with simulated nodes for the operator,
the same for the null writer, and without nodes, where nothing can start, for the operator.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aichat_workspace.kube.client import Client
from benchmarks.cluster.population import name_of
from benchmarks.comparison import audit_log, measurements, subject_plane
from benchmarks.comparison.audit_log import Position
from benchmarks.comparison.fleet import Fleet, Listing
from benchmarks.comparison.recording import Recording, record
from benchmarks.comparison.simulation import Simulation, read_listings
from benchmarks.comparison.stage import MANAGER, PODS, Stage, bring_up, is_pod_of, memory_goal
from benchmarks.comparison.subject import Subject
from benchmarks.measuring import processes
from benchmarks.measuring.report import Figure, Goal
from localcluster.progress import Report

STEPS: Final = ("rest", "drift", "change", "restart", "delete", "pending")
RECORDED: Final = name_of(9999)
"""A name of the same length as the others, so that writes have the same size."""
_MIN_SECONDS: Final = 120.0
_SECONDS_PER_RESOURCE: Final = 3.0
_VOLUMES_PER_RESOURCE: Final = 2
_EFFICIENCY: Final = 0.95
_CPU: Final = 1.5


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, and how."""

    concurrency: int  # resources that the null writer works on at once
    rest_seconds: float
    steps: frozenset[str]  # measured besides bringing up


@dataclass(frozen=True, slots=True)
class RecordedResource:
    """An operator's work for one resource: its writes, its pods, and the lists that it read."""

    recording: Recording
    pods: int
    listings: Mapping[str, Listing]


@dataclass(frozen=True, slots=True)
class BringUp:
    """Time and cost of bringing resources up; `ready_seconds` includes their pods."""

    created_seconds: float
    ready_seconds: float
    cpu_seconds: float
    peak_mib: float
    writes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One operator, measured with different numbers of resources."""

    subject: Subject
    options: Options
    folder: Path
    address: str
    report: Report
    pid: int

    @property
    def recording_file(self) -> Path:
        return self.folder / "recording.json"

    async def record(self) -> RecordedResource:
        """Bring one resource up, and record its writes, pods and lists."""
        async with self._stage("recording", 1, audit_bodies=True) as stage:
            async with stage.operator():
                position = stage.audit.end()
                uid = await self._create_recorded(stage)
                await measurements.settle(stage)
                recording = record(stage.audit.events(position), RECORDED, uid)
                listings = await read_listings(stage, stage.audit.events(), RECORDED)
            pods = [
                pod
                async for page in stage.admin.list_pages(PODS)
                for pod in page["items"]
                if is_pod_of(pod, [RECORDED])
            ]
        recording.save(self.recording_file)
        return RecordedResource(recording, len(pods), listings)

    async def _create_recorded(self, stage: Stage) -> str:
        uids: list[str] = []
        await bring_up(stage, [RECORDED], 1, _MIN_SECONDS, lambda _, uid: uids.append(uid))
        return uids[0]

    def simulate(self, recorded: RecordedResource, count: int) -> AsyncIterator[Figure]:
        """Yield the figures of a simulated fleet."""
        fleet = Fleet(recorded.listings, tuple(map(name_of, range(count))))
        simulation = Simulation(self.subject, fleet, self.folder, self.recording_file, self.report)
        return simulation.measure()

    async def measure(self, recorded: RecordedResource, count: int) -> AsyncIterator[Figure]:
        """Yield each figure of so many resources as soon as it is known."""
        recording, pods = recorded.recording, recorded.pods
        names = [name_of(number) for number in range(count)]
        seconds = _MIN_SECONDS + _SECONDS_PER_RESOURCE * count
        async with self._stage(f"operator, N = {count}", count) as stage:
            async with stage.operator() as process:
                operator = await self._bring_up(stage, process, names, pods * count, seconds)
                async for figure in self._while_running(stage, process, recording, names):
                    yield figure
            async for figure in self._after_restart(stage, names, seconds):
                yield figure
                if figure.key == "delete_seconds":
                    deleted = figure.value
        async with self._stage(f"null writer, N = {count}", count) as stage:
            null = await self._bring_up_null(stage, names, pods * count, seconds)
            for figure in compared(count, operator, null, recording):
                yield figure
            if "delete" in self.options.steps:
                plain = await measurements.delete_namespaces(stage, names, seconds)
                yield Figure(
                    count,
                    "delete_ratio",
                    "deletion ÷ plain deletion of the namespaces",
                    deleted / plain,
                    note=f"plain: {plain:.1f} s",
                )
        if "pending" in self.options.steps:
            async for figure in self._pending(names, seconds):
                yield figure

    @asynccontextmanager
    async def _stage(
        self, what: str, count: int, *, nodes: bool = True, audit_bodies: bool = False
    ) -> AsyncIterator[Stage]:
        self.report(what, "starting a control plane")
        plane = subject_plane.running(
            self.subject,
            f"bench-{self.pid}",
            pod_address=self.address if nodes else "",
            audit_bodies=audit_bodies,
        )
        with plane as control_plane:
            async with await Client.connect(
                str(control_plane.kubeconfig), user_agent=MANAGER
            ) as admin:
                log = self.folder / "operator.log"
                stage = Stage(self.subject, control_plane, admin, log, self.report, what)
                if nodes:
                    await stage.create_volumes(_VOLUMES_PER_RESOURCE * count)
                yield stage

    async def _bring_up(
        self,
        stage: Stage,
        process: asyncio.subprocess.Process,
        names: Sequence[str],
        pods: int,
        seconds: float,
    ) -> BringUp:
        position, cpu = stage.audit.end(), processes.cpu_seconds(process.pid)
        created, ready = await bring_up(stage, names, pods, seconds)
        cpu = processes.cpu_seconds(process.pid) - cpu
        peak = processes.peak_rss_mib(process.pid)
        return BringUp(created, ready, cpu, peak, _writes(stage, position))

    async def _bring_up_null(
        self, stage: Stage, names: Sequence[str], pods: int, seconds: float
    ) -> BringUp:
        async with stage.null_writer(self.recording_file, self.options.concurrency) as process:
            position, cpu = stage.audit.end(), processes.cpu_seconds(process.pid)
            requests, replies = process.stdin, process.stdout
            assert requests is not None  # noqa: S101  (it is a pipe)
            assert replies is not None  # noqa: S101

            def send(name: str, uid: str) -> None:
                requests.write(f"{name} {uid}\n".encode())

            created, ready = await bring_up(stage, names, pods, seconds, send)
            for _ in names:
                await replies.readline()
            cpu = processes.cpu_seconds(process.pid) - cpu
            peak = processes.peak_rss_mib(process.pid)
            return BringUp(created, ready, cpu, peak, _writes(stage, position))

    async def _while_running(
        self,
        stage: Stage,
        process: asyncio.subprocess.Process,
        recording: Recording,
        names: Sequence[str],
    ) -> AsyncIterator[Figure]:
        count, steps = len(names), self.options.steps
        if "rest" in steps:
            rest = await measurements.rest(stage, process, self.options.rest_seconds)
            for figure in at_rest(count, "rest", "at rest, all ready", rest, 0.005):
                yield figure
        if "drift" in steps:
            times = await measurements.drift(stage, recording, names)
            what = f"{len(times.seconds)} objects deleted at once are back, p99"
            yield Figure(
                count, "drift_p99_seconds", what, times.quantile(0.99), "s", Goal(1), str(times)
            )
        if "change" in steps:
            seconds, times = await measurements.change(stage, names)
            what = "every spec changed, until all are observed"
            yield Figure(count, "change_seconds", what, seconds, "s", note=str(times))
        await measurements.settle(stage)  # a restart would finish the work otherwise

    async def _after_restart(
        self, stage: Stage, names: Sequence[str], seconds: float
    ) -> AsyncIterator[Figure]:
        count = len(names)
        if "restart" in self.options.steps:
            restart = await measurements.restart(stage)
            note = (
                f"{restart.reads} reads, {restart.cpu_seconds:.1f} s of CPU, "
                f"{restart.peak_mib:.0f} MiB at most"
            )
            what = "restart, until the last request"
            yield Figure(count, "restart_seconds", what, restart.seconds, "s", Goal(10), note)
            what = "writes after a restart"
            yield Figure(
                count,
                "restart_writes",
                what,
                restart.writes.total(),
                goal=Goal(0),
                note=measurements.most_common(restart.writes),
            )
        if "delete" in self.options.steps:
            async with stage.operator():
                gone = await measurements.delete_resources(stage, names, seconds)
            yield Figure(count, "delete_seconds", "all deleted, until all are gone", gone, "s")

    async def _pending(self, names: Sequence[str], seconds: float) -> AsyncIterator[Figure]:
        what = f"nothing can start, N = {len(names)}"
        async with self._stage(what, len(names), nodes=False) as stage, stage.operator() as process:
            await bring_up(stage, names, 0, seconds)
            rest = await measurements.rest(stage, process, self.options.rest_seconds)
            for figure in at_rest(len(names), "pending", "while nothing can start", rest, 0.01):
                yield figure


def _writes(stage: Stage, since: Position) -> int:
    return sum(map(audit_log.is_write, stage.audit.requests(since)))


def compared(count: int, operator: BringUp, null: BringUp, recording: Recording) -> list[Figure]:
    """Return the figures that compare the operator with the null writer."""
    objects = count * (len(recording.children) + 1)
    least = len(recording.children) + 2
    return [
        Figure(
            count,
            "efficiency",
            "efficiency: null writer's time ÷ operator's, until all are ready",
            null.ready_seconds / operator.ready_seconds,
            goal=Goal(_EFFICIENCY, at_most=False),
            note=f"{null.ready_seconds:.1f} s, {operator.ready_seconds:.1f} s",
        ),
        Figure(
            count,
            "efficiency_made",
            "the same, until all objects are made",
            null.created_seconds / operator.created_seconds,
            note=f"{null.created_seconds:.1f} s, {operator.created_seconds:.1f} s",
        ),
        Figure(
            count,
            "cpu_ratio",
            "CPU: operator's ÷ null writer's",
            operator.cpu_seconds / null.cpu_seconds,
            goal=Goal(_CPU),
            note=f"{_ms_each(operator, count)} and {_ms_each(null, count)} ms for each",
        ),
        Figure(
            count,
            "writes_each",
            "writes for each",
            operator.writes / count,
            goal=Goal(round(least * 1.1, 1)),
            note=f"null writer {null.writes / count:.1f}; {least} are the least",
        ),
        Figure(
            count,
            "memory_mib",
            "memory at most",
            operator.peak_mib,
            "MiB",
            Goal(memory_goal(objects)),
            f"{objects} objects",
        ),
    ]


def _ms_each(run: BringUp, count: int) -> str:
    return f"{run.cpu_seconds / count * 1000:.1f}"


def at_rest(
    count: int, key: str, what: str, rest: measurements.Rest, cpu_goal: float
) -> list[Figure]:
    title = f"requests {what}"
    return [
        Figure(
            count, f"{key}_requests", title, rest.requests.total(), goal=Goal(0), note=str(rest)
        ),
        Figure(
            count,
            f"{key}_cpu_share",
            f"CPU {what}, of a core",
            rest.cpu * 100,
            "%",
            Goal(cpu_goal * 100),
            f"{rest.rss_mib:.0f} MiB",
        ),
    ]
