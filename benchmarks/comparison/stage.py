"""Bring resources up on a control plane, with the operator or the null writer."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from benchmarks.cluster.object_watch import watching
from benchmarks.cluster.population import at_once, name_of
from benchmarks.comparison import audit_log
from benchmarks.comparison.audit_log import AuditLog, Position
from benchmarks.comparison.subject import Subject
from benchmarks.comparison.subject_plane import SubjectPlane
from benchmarks.measuring import processes
from localcluster.progress import Report

MANAGER: Final = "benchmark"
NAMESPACES: Final = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
PODS: Final = Resource("", "v1", "Pod", "pods")
_VOLUMES: Final = Resource("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)
_CLASSES: Final = Resource(
    "storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False
)
_CLASS: Final = "bench"
_START_SECONDS: Final = 90
_POLL_SECONDS: Final = 0.2
_REPORT_SECONDS: Final = 2.0

Process = asyncio.subprocess.Process


@dataclass(frozen=True, slots=True)
class Stage:
    """A control plane for one operator; `admin` creates and watches its resources."""

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
        """Run the operator, and wait until it watches its resources."""
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
        """Run the null writer, with the operator's own permissions."""
        writer = ("null-writer", str(recording), f"--concurrency={concurrency}")
        command = (sys.executable, "-m", "benchmarks", *writer)
        environment = {"KUBECONFIG": str(self.plane.subject_kubeconfig)}
        async with processes.started(command, environment, self.log, has_pipes=True) as process:
            assert process.stdout is not None  # noqa: S101  (it is a pipe)
            async with asyncio.timeout(_START_SECONDS):
                await process.stdout.readline()
            yield process

    async def _wait_watching(self, process: Process, since: Position) -> None:
        plural = self.subject.resource.plural
        async with asyncio.timeout(_START_SECONDS):
            while not any(
                audit_log.is_watch_of(event, plural) for event in self.audit.events(since)
            ):
                if process.returncode is not None:
                    raise RuntimeError(f"the operator ended: {_tail(self.log)}")
                await asyncio.sleep(_POLL_SECONDS)

    async def create_volumes(self, count: int) -> None:
        """Create volumes for claims: simulated nodes have no provisioner."""
        storage_class = {
            "metadata": {
                "name": _CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/no-provisioner",
        }
        await self.admin.create(_CLASSES, storage_class, field_manager=MANAGER)

        async def create(number: int) -> None:
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

        with self.reporting("volumes", lambda: f"creating {count}"):
            await at_once(create, range(count))

    async def create(self, name: str) -> str:
        """Create a resource and return its UID."""
        body = self.subject.body(name)
        created = await self.admin.create(self.subject.resource, body, field_manager=MANAGER)
        return str(created["metadata"]["uid"])

    @contextmanager
    def reporting(self, step: str, progress: Callable[[], str]) -> Iterator[None]:
        """Report the progress of a step every two seconds."""

        async def report() -> None:
            while True:
                self.report(self.what, f"{step}: {progress()}")
                await asyncio.sleep(_REPORT_SECONDS)

        task = asyncio.create_task(report())
        try:
            yield
        finally:
            task.cancel()


@dataclass(slots=True)
class Arrival:
    """The resources that are created and ready, the Ready pods, and the times of the last."""

    stage: Stage
    names: Collection[str]
    pods: int  # expected Ready pods; 0 without nodes
    created: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    created_at: float = 0.0
    ready_at: float = 0.0

    def __str__(self) -> str:
        text = f"{len(self.created)} of {len(self.names)} made"
        return f"{text}, {len(self.ready)} ready" if self.pods else text

    def add_resource(self, resource: Any) -> bool:
        """Note a resource's state, and return whether all have arrived."""
        subject, name = self.stage.subject, resource["metadata"]["name"]
        if subject.created.holds(resource) and name not in self.created:
            self.created.add(name)
            self.created_at = time.perf_counter()
        if subject.ready.holds(resource) and name not in self.ready:
            self.ready.add(name)
            self.ready_at = max(self.ready_at, time.perf_counter())
        arrived = self.ready if self.pods else self.created
        return len(arrived) == len(self.names)

    def add_pod(self, pod: Any) -> bool:
        """Note a pod's state, and return whether all expected pods are Ready."""
        if not is_pod_of(pod, self.names):
            return False
        conditions = pod.get("status", {}).get("conditions", ())
        if any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in conditions
        ):
            self.running.add(pod["metadata"]["uid"])
            self.ready_at = max(self.ready_at, time.perf_counter())
        return len(self.running) >= self.pods


async def bring_up(
    stage: Stage,
    names: Sequence[str],
    pods: int,
    seconds: float,
    on_create: Callable[[str, str], None] = lambda *_: None,
) -> tuple[float, float]:
    """Create all resources and wait for them.

    Returns the seconds until all were created, and until all and their pods were ready, which is 0
    without pods. `on_create` is called with each name and UID.

    Raises:
        TimeoutError: not all were in time.
    """
    arrival = Arrival(stage, frozenset(names), pods)

    async def create(number: int) -> None:
        on_create(names[number], await stage.create(names[number]))

    started = time.perf_counter()
    with stage.reporting("bringing up", lambda: str(arrival)):
        async with (
            watching(stage.admin, stage.subject.resource, arrival.add_resource) as all_arrived,
            watching(stage.admin, PODS, arrival.add_pod) as all_running,
            asyncio.timeout(seconds),
        ):
            await at_once(create, range(len(names)))
            await all_arrived
            if pods:
                await all_running
    ready_seconds = arrival.ready_at - started if pods else 0.0
    return arrival.created_at - started, ready_seconds


def is_pod_of(pod: Any, names: Collection[str]) -> bool:
    """Return whether its namespace is one of these names, or its name begins with one."""
    metadata = pod["metadata"]
    return metadata["namespace"] in names or metadata["name"][: len(name_of(0))] in names


def memory_goal(objects: int) -> float:
    """Return 80 MB plus 1 KiB per object, in MiB."""
    return 80e6 / 2**20 + objects / 1024


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1000:]
