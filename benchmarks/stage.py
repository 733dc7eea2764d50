"""A control plane on which one operator, or the null writer in its place, brings resources up."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from benchmarks import audit, processes
from benchmarks.audit import AuditLog, Position
from benchmarks.controlplane import SubjectPlane
from benchmarks.operator import watching
from benchmarks.population import name_of
from benchmarks.subject import Subject
from localcluster.progress import Report

MANAGER: Final = "benchmark"
NAMESPACES: Final = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
PODS: Final = Resource("", "v1", "Pod", "pods")
_VOLUMES: Final = Resource("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)
_CLASSES: Final = Resource(
    "storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False
)
_CLASS: Final = "bench"
_AT_ONCE: Final = 8
_START_SECONDS: Final = 90
_POLL_SECONDS: Final = 0.2
_TELL_SECONDS: Final = 2.0

Process = asyncio.subprocess.Process


@dataclass(frozen=True, slots=True)
class Stage:
    """`admin` is the administrator, who creates resources and watches what becomes of them."""

    subject: Subject
    plane: SubjectPlane
    admin: Client
    log: Path
    report: Report
    what: str

    @property
    def audit(self) -> AuditLog:
        return AuditLog(self.plane.audit_log, self.subject.user)

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[Process]:
        """The operator, once it watches its resources."""
        environment = {
            "KUBECONFIG": str(self.plane.subject_kubeconfig),
            "ENV": "dev",  # ours then reaches servers through the API server
            "PROBE_PORT": "0",
        }
        before = self.audit.end()
        async with processes.started(self.subject.command, environment, self.log) as process:
            await self._wait_watching(process, before)
            yield process

    @asynccontextmanager
    async def null_writer(self, recording: Path, concurrency: int) -> AsyncIterator[Process]:
        """The null writer, with the operator's own permissions."""
        writer = ("null-writer", str(recording), f"--concurrency={concurrency}")
        command = (sys.executable, "-m", "benchmarks", *writer)
        environment = {"KUBECONFIG": str(self.plane.subject_kubeconfig)}
        async with processes.started(command, environment, self.log, talks=True) as process:
            assert process.stdout is not None  # noqa: S101  (it talks)
            async with asyncio.timeout(_START_SECONDS):
                await process.stdout.readline()
            yield process

    async def _wait_watching(self, process: Process, since: Position) -> None:
        plural = self.subject.resource.plural
        async with asyncio.timeout(_START_SECONDS):
            while not any(audit.is_watch_of(event, plural) for event in self.audit.events(since)):
                if process.returncode is not None:
                    raise RuntimeError(f"the operator ended: {_tail(self.log)}")
                await asyncio.sleep(_POLL_SECONDS)

    async def make_volumes(self, count: int) -> None:
        """Volumes that claims find: nothing provisions any where nodes are simulated."""
        storage_class = {
            "metadata": {
                "name": _CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/no-provisioner",
        }
        await self.admin.create(_CLASSES, storage_class, field_manager=MANAGER)

        async def make(number: int) -> None:
            volume = {
                "metadata": {"name": f"bench-{number}"},
                "spec": {
                    "storageClassName": _CLASS,
                    "capacity": {"storage": "1Ti"},
                    "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                    "hostPath": {"path": "/nowhere"},
                },
            }
            await self.admin.create(_VOLUMES, volume, field_manager=MANAGER)

        with self.telling("volumes", lambda: f"making {count}"):
            await at_once(make, range(count))

    async def create(self, name: str) -> str:
        """Create a resource, and give its UID."""
        body = self.subject.body(name)
        made = await self.admin.create(self.subject.resource, body, field_manager=MANAGER)
        return str(made["metadata"]["uid"])

    @contextmanager
    def telling(self, step: str, how_far: Callable[[], str]) -> Iterator[None]:
        """Say how far a step is, every two seconds."""

        async def tell() -> None:
            while True:
                self.report(self.what, f"{step}: {how_far()}")
                await asyncio.sleep(_TELL_SECONDS)

        task = asyncio.create_task(tell())
        try:
            yield
        finally:
            task.cancel()


@dataclass(slots=True)
class Arrival:
    """Which resources, and how many pods, are as far as they are to come; and when the last was."""

    stage: Stage
    names: Collection[str]
    pods: int  # that have to be Ready; 0 where there are no nodes
    made: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    made_at: float = 0.0
    ready_at: float = 0.0

    def __str__(self) -> str:
        of = len(self.names)
        text = f"{len(self.made)} of {of} made"
        return f"{text}, {len(self.ready)} ready" if self.pods else text

    def sees(self, resource: Any) -> bool:
        """Take in a resource; whether all have arrived."""
        subject, name = self.stage.subject, resource["metadata"]["name"]
        if subject.made.holds(resource) and name not in self.made:
            self.made.add(name)
            self.made_at = time.perf_counter()
        if subject.ready.holds(resource) and name not in self.ready:
            self.ready.add(name)
            self.ready_at = max(self.ready_at, time.perf_counter())
        arrived = self.ready if self.pods else self.made
        return len(arrived) == len(self.names)

    def sees_pod(self, pod: Any) -> bool:
        """Take in a pod; whether as many of these resources' as there should be are Ready."""
        if not is_pod_of(pod, self.names):
            return False
        conditions = pod.get("status", {}).get("conditions", ())
        if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
            self.running.add(pod["metadata"]["uid"])
            self.ready_at = max(self.ready_at, time.perf_counter())
        return len(self.running) >= self.pods


async def bring_up(
    stage: Stage,
    names: Sequence[str],
    pods: int,
    seconds: float,
    tell: Callable[[str, str], None] = lambda *_: None,
) -> tuple[float, float]:
    """Create all resources and wait for them: the seconds until all were made, and until all and
    their pods were ready, which is 0 without pods. `tell` is told each name and UID.

    Raises:
        TimeoutError: not all were in time.
    """
    arrival = Arrival(stage, frozenset(names), pods)

    async def create(number: int) -> None:
        tell(names[number], await stage.create(names[number]))

    started = time.perf_counter()
    with stage.telling("bringing up", lambda: str(arrival)):
        async with (
            watching(stage.admin, stage.subject.resource, arrival.sees) as all_arrived,
            watching(stage.admin, PODS, arrival.sees_pod) as all_running,
            asyncio.timeout(seconds),
        ):
            await at_once(create, range(len(names)))
            await all_arrived
            if pods:
                await all_running
    ready_seconds = arrival.ready_at - started if pods else 0.0
    return arrival.made_at - started, ready_seconds


def is_pod_of(pod: Any, names: Collection[str]) -> bool:
    """Whether it is in a namespace of one of these names, or its name begins with one."""
    metadata = pod["metadata"]
    return metadata["namespace"] in names or metadata["name"][: len(name_of(0))] in names


def memory_goal(objects: int) -> float:
    """80 MB, and 1 KiB for each object, in MiB."""
    return 80e6 / 2**20 + objects / 1024


async def at_once(work: Callable[[int], Awaitable[object]], numbers: Sequence[int]) -> None:
    """Some at a time, as many as an operator works on."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await work(number)

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(one(number))


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1000:]
