"""A fleet of workspaces before an API server in memory, with a queue that each test works off."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.snapshot import NewSecrets
from aichat_workspace.domain.kubernetes.kinds import WORKLOAD_KINDS
from aichat_workspace.domain.models.tools import NOT_OFFERED_YET
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.executor import Executor
from aichat_workspace.operator.models.report import Report
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.reconciler import Reconciler
from aichat_workspace.operator.reporter import Reporter
from aichat_workspace.operator.rollouts import Rollouts
from aichat_workspace.operator.servers.sync import ServerProgress, ServerSync
from aichat_workspace.operator.snapshots import Snapshots
from aichat_workspace.operator.writer import Writer
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.domain.samples import NOW

SYSTEM = names.SYSTEM_NAMESPACE
AVAILABLE = {"readyReplicas": 1, "updatedReplicas": 1, "replicas": 1}


class Cluster(FakeKubernetes):
    """Workloads whose spec was written are not available before their controller has seen it."""

    def __init__(self) -> None:
        super().__init__()
        self.admit: Callable[[Json], Json] = lambda body: body
        """What an admission webhook makes of what is written."""
        self.applied: list[tuple[str, str, str]] = []
        """Workloads that were applied, refused ones included."""

    async def apply(
        self,
        resource: Resource,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        subresource: str | None = None,
    ) -> Json:
        if resource.kind not in WORKLOAD_KINDS:
            return await super().apply(
                resource, body, field_manager=field_manager, subresource=subresource
            )
        key = (resource.kind, body["metadata"]["namespace"], body["metadata"]["name"])
        previous = self.objects.get(key)
        self.applied.append(key)
        admitted = self.admit({**body})
        stored = await super().apply(resource, admitted, field_manager=field_manager)
        if previous is None or previous["spec"] != stored["spec"]:
            generation = stored["metadata"].get("generation", 0) + 1
            metadata = {**stored["metadata"], "generation": generation}
            stored = self.store({**stored, "metadata": metadata})
        return stored


class Fleet:
    """Workspaces that a reconciler keeps; `settings` are the platform's."""

    def __init__(self, *workspaces: str, cluster: Cluster | None = None, **settings: Any) -> None:
        self.now: datetime = NOW
        self.cluster = cluster or Cluster()
        client = cast("Client", self.cluster)
        self.queue: dict[str, None] = {}
        self.caches = Caches(client, self.enqueue, self._on_settings)
        self.rollouts = Rollouts(self.caches, self.enqueue)
        writer = Writer(client, self.caches)
        secrets = NewSecrets("new-key", "new-password")
        self.reconciler = Reconciler(
            snapshots=Snapshots(self.caches, self.rollouts, {}, lambda: secrets, timedelta),
            executor=Executor(writer, lambda: self.now),
            servers=cast("ServerSync", _Servers()),
            reporter=Reporter(writer, lambda: self.now),
            rollouts=self.rollouts,
            now=lambda: self.now,
        )
        if cluster is None:
            self.settings(**settings)
        for name in workspaces:
            self.edit(name)

    async def settle(self) -> list[str]:
        """Work off the queue. Return the names in the order in which they were looked at."""
        seen = []
        while self.queue:
            name = next(iter(self.queue))
            del self.queue[name]
            seen.append(name)
            assert len(seen) < 1_000, "it goes on and on"
            await self.reconcile(name)
        return seen

    async def reconcile(self, name: str) -> float | None:
        try:
            result = await self.reconciler.reconcile(name)
        except ApiError:
            return None
        return result.requeue_after_seconds

    async def start(self) -> None:
        """Bring all workspaces up, and let them be available."""
        await self.settle()
        for resource in list(self.caches.workspaces.all()):
            self.available(resource["spec"]["workspaceName"])
        await self.settle()
        self.cluster.writes.clear()

    def enqueue(self, name: str) -> None:
        self.queue[name] = None

    def edit(self, name: str, metadata: dict[str, Any] | None = None, **spec: Any) -> None:
        """Create a resource, or change its metadata or its spec."""
        previous = self.cluster.objects.get(("AIChatWorkspace", SYSTEM, name), {"metadata": {}})
        changed = {"workspaceName": name, **previous.get("spec", {}), **spec}
        generation = previous["metadata"].get("generation", 0)
        self._observe(
            {
                **previous,
                "apiVersion": names.API_VERSION,
                "kind": "AIChatWorkspace",
                "metadata": {
                    "name": name,
                    "namespace": SYSTEM,
                    "creationTimestamp": "2026-11-23T11:00:00Z",
                    **previous["metadata"],
                    "generation": generation + (changed != previous.get("spec")),
                    **(metadata or {}),
                },
                "spec": changed,
            }
        )

    def settings(self, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        platform = {
            "apiVersion": names.API_VERSION,
            "kind": "AIChatPlatform",
            "metadata": {"name": "default", "annotations": annotations or {}},
            "spec": spec,
        }
        self.caches.platform.observe(self.cluster.store(platform))

    def available(self, name: str) -> None:
        """Both workloads run as they were last written."""
        self.report(name, AVAILABLE)

    def report(self, name: str, status: dict[str, Any]) -> None:
        """Both workloads' controllers have seen them, and say this."""
        for workload in self.workloads(name):
            observed = {"observedGeneration": workload["metadata"].get("generation", 0)}
            self._observe({**workload, "status": {**status, **observed}})

    def fail(self, name: str, reason: str = "ImagePullBackOff") -> None:
        """The chat's pod can't run."""
        self.report(name, {"replicas": 1, "readyReplicas": 0, "updatedReplicas": 1})
        container = {
            "name": "openwebui",
            "image": "i",
            "ready": False,
            "state": {"waiting": {"reason": reason, "message": "no"}},
        }
        self.pod(name, containerStatuses=[container])

    def pod(self, name: str, **status: Any) -> None:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-pod",
                "namespace": name,
                "labels": {"app.kubernetes.io/name": names.openwebui(name)},
            },
            "status": status,
        }
        self.caches.pods.observe(self.cluster.store(pod))

    def workloads(self, name: str) -> list[Json]:
        return [
            self.cluster.objects[(kind, name, workload)]
            for kind, workload in (
                ("StatefulSet", names.ollama(name)),
                ("Deployment", names.openwebui(name)),
            )
        ]

    def images(self, name: str) -> list[str]:
        return [
            workload["spec"]["template"]["spec"]["containers"][0]["image"]
            for workload in self.workloads(name)
        ]

    def status(self, name: str) -> Json:
        status: Json = self.cluster.objects[("AIChatWorkspace", SYSTEM, name)]["status"]
        return status

    def condition(self, name: str, kind: str = "UpToDate") -> Json:
        conditions: list[Json] = self.status(name)["conditions"]
        return next(condition for condition in conditions if condition["type"] == kind)

    def reasons(self, *workspaces: str) -> list[str]:
        return [str(self.condition(name)["reason"]) for name in workspaces]

    def delete_workload(self, name: str, kind: str) -> None:
        target = {"StatefulSet": names.ollama(name), "Deployment": names.openwebui(name)}[kind]
        removed = self.cluster.store(self.cluster.objects.pop((kind, name, target)))
        self.cluster.objects.pop((kind, name, target))
        self.caches.tenants[kind]._store.remove(removed)

    def restart(self) -> "Fleet":
        """Another replica leads, with the same objects."""
        fleet = Fleet(cluster=self.cluster)
        fleet.now = self.now
        for obj in list(self.cluster.objects.values()):
            caches = fleet.caches
            special = {"Secret": caches.secrets, "AIChatPlatform": caches.platform}
            special.get(obj["kind"], caches).observe(obj)
        fleet.rollouts.rebuild()
        return fleet

    def pass_time(self, **time: float) -> None:
        self.now += timedelta(**time)

    def _observe(self, obj: Json) -> None:
        self.caches.observe(self.cluster.store(obj))

    def _on_settings(self) -> None:
        if hasattr(self, "rollouts"):
            self.rollouts.rebuild()


class _Servers:
    """Model servers that nothing asks."""

    def set_desired(self, *_: object) -> ServerProgress:
        return ServerProgress(Report((), ()), NOT_OFFERED_YET)

    def forget(self, _: str) -> None:
        """There is nothing."""
