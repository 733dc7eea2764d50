"""A reconcile from end to end, before an API server in memory."""

from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.snapshot import NewSecrets
from aichat_workspace.domain.models.tools import NOT_OFFERED_YET, ToolStatus
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.executor import Executor
from aichat_workspace.operator.models.report import Report
from aichat_workspace.operator.models.servers import ServerSync
from aichat_workspace.operator.models.sync import ModelSync, ModelSyncTask
from aichat_workspace.operator.models.tools import Chat, ToolSync
from aichat_workspace.operator.reconciler import Reconciler
from aichat_workspace.operator.reporter import Reporter
from aichat_workspace.operator.rollouts import Rollouts
from aichat_workspace.operator.snapshots import Snapshots
from aichat_workspace.operator.writer import Writer
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.domain.samples import NOW

NAME = "team-a-aichat"
RESOURCE = "aichatworkspace-team-a"
SYSTEM = names.SYSTEM_NAMESPACE
CREDENTIALS = names.credentials(NAME)
WORKSPACE_KEY = ("AIChatWorkspace", SYSTEM, RESOURCE)


class Servers:
    """Model sync and tool sync that only record what they are given."""

    def __init__(self) -> None:
        self.passwords: list[str] = []
        self.forgotten: list[str] = []

    def models(self) -> ModelSync:
        return cast("ModelSync", _Models(self))

    def tools(self) -> ToolSync:
        return cast("ToolSync", _Tools(self))


class _Models:
    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def set_desired(self, _: str, __: ModelSyncTask) -> Report:
        return Report((), ())

    def forget(self, name: str) -> None:
        self._servers.forgotten.append(name)


class _Tools:
    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def set_desired(self, _: str, chat: Chat) -> ToolStatus:
        self._servers.passwords.append(chat.password)
        return NOT_OFFERED_YET

    def forget(self, _: str) -> None:
        """Models are forgotten at the same time."""


class World:
    """One workspace before an API server whose watch reports each write at once."""

    def __init__(self) -> None:
        self.cluster = FakeKubernetes()
        client = cast("Client", self.cluster)
        self.caches = Caches(client, lambda _: None)
        self.servers = Servers()
        self.enqueued: list[str] = []
        self.rollouts = Rollouts(self.caches, self.enqueued.append)
        writer = Writer(client, self.caches)
        secrets = NewSecrets("new-key", "new-password")
        self.reconciler = Reconciler(
            snapshots=Snapshots(self.caches, self.rollouts, {}, lambda: secrets),
            executor=Executor(writer, lambda: NOW),
            servers=ServerSync(
                self.servers.models(), self.servers.tools(), cast("Any", str), cast("Any", str)
            ),
            reporter=Reporter(writer, lambda: NOW),
            rollouts=self.rollouts,
            now=lambda: NOW,
        )

    def apply(self, metadata: dict[str, Any] | None = None, **spec: Any) -> None:
        """Create the resource, or change it."""
        previous = self.cluster.objects.get(WORKSPACE_KEY, {"metadata": {}})
        resource = {
            **previous,
            "apiVersion": names.API_VERSION,
            "kind": "AIChatWorkspace",
            "metadata": {
                **previous["metadata"],
                "name": RESOURCE,
                "namespace": SYSTEM,
                "generation": 1,
                "creationTimestamp": "2026-11-23T11:00:00Z",
                **(metadata or {}),
            },
            "spec": {"workspaceName": NAME, **spec},
        }
        self.caches.observe(self.cluster.store(resource))

    async def reconcile(self) -> float | None:
        self.cluster.writes.clear()
        result = await self.reconciler.reconcile(NAME)
        return result.requeue_after_seconds

    @property
    def status(self) -> Json:
        status: Json = self.cluster.objects[WORKSPACE_KEY]["status"]
        return status

    def reason(self, kind: str) -> str:
        (condition,) = (
            candidate for candidate in self.status["conditions"] if candidate["type"] == kind
        )
        return str(condition["reason"])


@pytest.fixture
def world() -> World:
    return World()


async def test_a_new_workspace_is_created_in_an_order_that_survives_interruptions(
    world: World,
) -> None:
    world.apply()
    await world.reconcile()
    assert world.cluster.writes[:4] == [
        f"apply AIChatWorkspace {RESOURCE}",
        f"create Secret {CREDENTIALS}",
        f"create Namespace {NAME}",
        f"apply ResourceQuota {NAME}",
    ]
    assert world.cluster.writes[-1] == f"apply/status AIChatWorkspace {RESOURCE}"
    assert world.status["namespace"]["name"] == NAME


async def test_a_tenant_that_is_as_desired_costs_no_write(world: World) -> None:
    world.apply()
    await world.reconcile()
    await world.reconcile()
    assert world.cluster.writes == []


async def test_a_refused_step_stops_the_others_and_is_reported(world: World) -> None:
    world.cluster.refuse(f"create Namespace {NAME}")
    world.apply()
    with pytest.raises(ApiError, match="the quota is full"):
        await world.reconcile()
    assert world.cluster.writes[-2:] == [
        f"create Namespace {NAME}",
        f"apply/status AIChatWorkspace {RESOURCE}",
    ]
    assert world.reason("Ready") == "WriteRefused"
    assert world.reason("UpToDate") == "UpToDate", "no workload was tried"


async def test_a_refused_action_is_reported_and_keeps_no_other_from_being_made(
    world: World,
) -> None:
    world.cluster.refuse(f"apply StatefulSet {names.ollama(NAME)}")
    world.apply()
    with pytest.raises(ApiError, match="the quota is full"):
        await world.reconcile()
    assert f"apply Deployment {names.openwebui(NAME)}" in world.cluster.writes
    assert world.reason("Ready") == "WriteRefused"


async def test_chats_are_never_given_a_password_that_was_not_stored(world: World) -> None:
    world.apply()
    await world.reconcile()
    assert world.servers.passwords == ["new-password"]
    world.cluster.refuse(f"apply Secret {CREDENTIALS}")
    world.apply(access={"passwordReset": "monday"})
    with pytest.raises(ApiError):
        await world.reconcile()
    assert world.servers.passwords[1:] == [""]


async def test_a_refused_step_is_reported_rather_than_that_the_namespace_goes(
    world: World,
) -> None:
    world.apply()
    await world.reconcile()
    tenant = world.cluster.objects[("Namespace", "", NAME)]
    going = {**tenant["metadata"], "deletionTimestamp": "2026-11-23T11:59:00Z"}
    world.caches.observe(world.cluster.store({**tenant, "metadata": going}))
    world.apply({"finalizers": []})
    world.cluster.refuse(f"apply AIChatWorkspace {RESOURCE}")
    with pytest.raises(ApiError):
        await world.reconcile()
    assert world.reason("Ready") == "WriteRefused"


async def test_a_rejected_workspace_is_looked_at_when_it_expires(world: World) -> None:
    foreign = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}
    world.caches.observe(world.cluster.store(foreign))
    world.apply(expiresAfter="2h")
    assert await world.reconcile() == 3600
    assert world.reason("Ready") == "NamespaceTaken"


async def test_a_deleted_workspace_ends_its_servers_and_then_its_namespace(world: World) -> None:
    world.apply()
    await world.reconcile()
    world.apply({"deletionTimestamp": "2026-11-23T12:00:00Z"})
    assert await world.reconcile() == 30
    assert world.servers.forgotten == [NAME]
    assert f"delete Namespace {NAME}" in world.cluster.writes
    assert world.status["phase"] == "Terminating"


async def test_a_namespace_that_the_cache_has_not_seen_is_not_leaked(world: World) -> None:
    world.apply()
    await world.reconcile()
    world.apply({"deletionTimestamp": "2026-11-23T12:00:00Z"})
    world.caches.namespaces._store.reset((), 10**6)
    with pytest.raises(ApiError, match="not seen yet"):
        await world.reconcile()
    assert f"patch AIChatWorkspace {RESOURCE}" not in world.cluster.writes


async def test_a_refused_step_stops_no_rollout_because_no_workload_was_tried(world: World) -> None:
    world.apply()
    await world.reconcile()
    counts = {"readyReplicas": 1, "updatedReplicas": 1, "replicas": 1}
    for kind, name in (("StatefulSet", names.ollama(NAME)), ("Deployment", names.openwebui(NAME))):
        workload = world.cluster.objects[(kind, NAME, name)]
        world.caches.observe(world.cluster.store({**workload, "status": counts}))
    await world.reconcile()
    for kind, name in (("StatefulSet", names.ollama(NAME)), ("Deployment", names.openwebui(NAME))):
        workload = world.cluster.objects[(kind, NAME, name)]
        workload["metadata"]["annotations"][names.POD_TEMPLATE_ANNOTATION] = "older"
        world.caches.observe(world.cluster.store(workload))
    world.cluster.refuse(f"apply Secret {CREDENTIALS}")
    world.apply(access={"passwordReset": "monday"})
    with pytest.raises(ApiError):
        await world.reconcile()
    assert world.reason("Ready") == "WriteRefused"
    assert world.reason("UpToDate") == "Upgrading"
    assert world.rollouts.board.stage(NAME) == "changing"


async def test_a_claimant_that_is_refused_its_status_does_not_starve_the_holder(
    world: World,
) -> None:
    world.apply()
    await world.reconcile()
    rival = {
        **world.cluster.objects[WORKSPACE_KEY],
        "metadata": {
            "name": "rival",
            "namespace": "team-b",
            "uid": "uid-rival",
            "generation": 1,
            "creationTimestamp": "2026-11-23T11:59:00Z",
        },
        "status": {},
    }
    world.caches.observe(world.cluster.store(rival))
    world.cluster.refuse("apply/status AIChatWorkspace rival")
    ref = ("Deployment", NAME, names.openwebui(NAME))
    deployment = world.cluster.objects[ref]
    edited = {**deployment, "spec": {**deployment["spec"], "replicas": 7}}
    world.caches.observe(world.cluster.store(edited))
    with pytest.raises(ApiError, match="the quota is full"):
        await world.reconcile()
    assert f"apply Deployment {names.openwebui(NAME)}" in world.cluster.writes
