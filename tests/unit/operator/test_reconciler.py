"""A reconcile from end to end, before an API server in memory."""

from datetime import timedelta
from typing import Any, cast

import pytest
import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.snapshot import NewSecrets
from aichat_workspace.domain.models.status import ModelState, ModelStatus
from aichat_workspace.domain.models.tools import NOT_OFFERED_YET, ToolStatus
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError, UnreachableError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator import reconciler
from aichat_workspace.operator.executor import Executor
from aichat_workspace.operator.models.report import Report
from aichat_workspace.operator.models.sync import ModelSync
from aichat_workspace.operator.models.task import ModelSyncTask
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.reconciler import Reconciler
from aichat_workspace.operator.reporter import Reporter
from aichat_workspace.operator.rollouts import Rollouts
from aichat_workspace.operator.servers.activity import ActivitySync
from aichat_workspace.operator.servers.sync import ServerSync
from aichat_workspace.operator.servers.tools import Chat, ToolSync
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
        self.report = Report((), ())

    def models(self) -> ModelSync:
        return cast("ModelSync", _Models(self))

    def tools(self) -> ToolSync:
        return cast("ToolSync", _Tools(self))


class _Models:
    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def set_desired(self, _: str, __: ModelSyncTask) -> Report:
        return self._servers.report

    def report(self, _: str) -> Report | None:
        return self._servers.report

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
        self.now = NOW
        self.clock_ahead: timedelta | None = timedelta()
        self.enqueued: list[str] = []
        self.rollouts = Rollouts(self.caches, self.enqueued.append)
        writer = Writer(client, self.caches)
        secrets = NewSecrets("new-key", "new-password")
        self.reconciler = Reconciler(
            snapshots=Snapshots(
                self.caches, self.rollouts, {}, lambda: secrets, lambda: self.clock_ahead
            ),
            executor=Executor(writer, lambda: self.now),
            servers=ServerSync(
                self.servers.models(),
                self.servers.tools(),
                ActivitySync(self.enqueued.append, lambda: self.now),
                cast("Any", str),
                cast("Any", str),
            ),
            reporter=Reporter(writer, lambda: self.now),
            rollouts=self.rollouts,
            now=lambda: self.now,
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
        return str(self.condition(kind)["reason"])

    def condition(self, kind: str) -> Json:
        conditions: list[Json] = self.status["conditions"]
        (condition,) = (candidate for candidate in conditions if candidate["type"] == kind)
        return condition

    async def become_available(self) -> None:
        """Let both workloads be available."""
        await self.reconcile()
        counts = {"readyReplicas": 1, "updatedReplicas": 1, "replicas": 1}
        for kind, name in (
            ("StatefulSet", names.ollama(NAME)),
            ("Deployment", names.openwebui(NAME)),
        ):
            workload = self.cluster.objects[(kind, NAME, name)]
            self.caches.observe(self.cluster.store({**workload, "status": counts}))
        await self.reconcile()

    def break_deployment(self, replicas: int, manager: str = "hpa") -> None:
        """Let somebody else change a field of the chat's Deployment."""
        deployment = self.cluster.objects[("Deployment", NAME, names.openwebui(NAME))]
        foreign = [{"manager": manager, "f:spec": {"f:replicas": {}}}]
        edited = {
            **deployment,
            "spec": {**deployment["spec"], "replicas": replicas},
            "metadata": {**deployment["metadata"], "foreignFields": foreign},
        }
        self.caches.observe(self.cluster.store(edited))


@pytest.fixture
def world() -> World:
    return World()


async def test_progress_is_one_write_without_a_decision(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pulling(percent: int) -> Report:
        return Report((ModelStatus("m:1", ModelState.PULLING, percent, 100),), ())

    def fail(*_: object) -> None:
        raise AssertionError("nothing is decided, planned or rendered")

    world.apply(models=["m:1"])
    world.servers.report = pulling(10)
    await world.reconcile()
    await world.reconcile()
    world.cluster.writes.clear()
    before = world.status
    with monkeypatch.context() as patch:
        patch.setattr(reconciler, "decide", fail)
        world.servers.report = pulling(20)
        await world.reconciler.report_progress(NAME)
    assert len(world.cluster.writes) == 1
    assert world.status["modelsReady"] == "0/1 20%"
    assert world.status["models"][0]["percent"] == 20
    messages = {c["type"]: c["message"] for c in world.status["conditions"]}
    assert messages["ModelsReady"] == "downloading m:1 20%"
    assert {**before, "modelsReady": 0, "models": 0, "conditions": 0} == {
        **world.status,
        "modelsReady": 0,
        "models": 0,
        "conditions": 0,
    }
    await world.reconcile()
    assert world.cluster.writes == [], "a reconcile says the same"


async def test_what_is_more_than_progress_is_reconciled(world: World) -> None:
    world.apply(models=["m:1"])
    world.servers.report = Report((ModelStatus("m:1", ModelState.PULLING, 10, 100),), ())
    await world.reconcile()
    world.servers.report = Report((ModelStatus("m:1", ModelState.READY),), ())
    await world.reconciler.report_progress(NAME)
    assert world.reason("ModelsReady") == "ModelsReady"


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


LEADER_CHANGED = ApiError(503, "ServiceUnavailable", "etcdserver: leader changed")
WRITE = f"apply Deployment {names.openwebui(NAME)}"


@pytest.mark.parametrize("error", [LEADER_CHANGED, UnreachableError("connection reset")])
async def test_the_phase_stays_while_the_api_server_does_not_answer(
    world: World, error: ApiError | UnreachableError
) -> None:
    world.apply()
    await world.become_available()
    phase, ready = world.status["phase"], world.condition("Ready")
    world.cluster.refuse(WRITE, error)
    for seconds, reason in ((0, "Synced"), (59, "Synced"), (61, "ApiServerNotAnswering")):
        world.now = NOW + timedelta(seconds=seconds)
        world.break_deployment(0)
        with pytest.raises(type(error)):
            await world.reconcile()
        assert (world.status["phase"], world.condition("Ready")) == (phase, ready)
        assert world.reason("Synced") == reason
    assert str(error) in world.condition("Synced")["message"]
    world.break_deployment(0)
    with pytest.raises(type(error)):
        await world.reconcile()
    assert "apply/status" not in "".join(world.cluster.writes), "it says so once"
    world.cluster.refusals.clear()
    await world.reconcile()
    assert world.reason("Synced") == "Synced"
    world.cluster.refuse(WRITE, error)
    world.break_deployment(0)
    with pytest.raises(type(error)):
        await world.reconcile()
    assert world.reason("Synced") == "Synced", "another outage has a minute of its own"


async def test_a_step_that_the_api_server_did_not_answer_is_no_refusal(world: World) -> None:
    world.cluster.refuse(f"create Namespace {NAME}", LEADER_CHANGED)
    world.apply()
    with pytest.raises(ApiError):
        await world.reconcile()
    assert world.status["phase"] == "Provisioning"
    assert world.reason("Ready") == "Creating"


async def test_an_api_server_that_takes_no_status_either_is_in_the_log(world: World) -> None:
    world.apply()
    await world.reconcile()
    world.cluster.refuse(WRITE, UnreachableError("reset"))
    world.cluster.refuse(f"apply/status AIChatWorkspace {RESOURCE}", LEADER_CHANGED)
    world.break_deployment(7)
    with structlog.testing.capture_logs() as logs:
        for seconds in (0, 61):
            world.now = NOW + timedelta(seconds=seconds)
            with pytest.raises(UnreachableError):
                await world.reconcile()
    assert [line["event"] for line in logs if "status does not say" in line["event"]]


async def test_who_changes_an_object_again_and_again_is_named_until_it_stops(
    world: World,
) -> None:
    world.apply()
    await world.reconcile()
    for seconds in range(0, 100, 20):
        assert world.reason("Synced") == "Synced"
        world.now = NOW + timedelta(seconds=seconds)
        world.break_deployment(7)
        await world.reconcile()
    condition = world.condition("Synced")
    assert (condition["status"], condition["reason"]) == ("False", "ChangedByOthers")
    assert (
        f"Deployment {NAME}/{names.openwebui(NAME)} (spec.replicas) is changed again and again by "
        "'hpa'"
    ) in condition["message"]
    assert await world.reconcile() == 300, "it is looked at again, although nothing may come"
    world.now += timedelta(seconds=300)
    await world.reconcile()
    assert world.reason("Synced") == "Synced"


async def test_what_a_reconcile_wrote_is_charged(world: World) -> None:
    world.apply()
    costs = [(await world.reconciler.reconcile(NAME)).cost for _ in range(2)]
    assert costs == [1.0, 0.0]
    resource = world.cluster.objects[WORKSPACE_KEY]
    changed = {**resource["status"], "url": "http://somebody.else"}
    world.caches.observe(world.cluster.store({**resource, "status": changed}))
    result = await world.reconciler.reconcile(NAME)
    assert 0 < result.cost < 0.1, "only a status"
    costs = []
    for _ in range(3):
        world.break_deployment(7)
        costs.append((await world.reconciler.reconcile(NAME)).cost)
    assert costs == [0.05, 1.0, 1.0], "the same again"
    world.apply(workspaceENV="prod")
    assert (await world.reconciler.reconcile(NAME)).cost == 0.05, "an edit is no fight"


async def test_what_settings_take_away_and_bring_back_again_and_again_is_no_fight(
    world: World,
) -> None:
    """As who tries a Gateway does: each time an Ingress or a route goes."""
    world.apply()
    await world.reconcile()
    gateways = [{"gateway": {"name": "front", "namespace": "edge"}}, {}] * 3
    costs = []
    for generation, ingress in enumerate(gateways, start=1):
        platform = {
            "apiVersion": names.API_VERSION,
            "kind": "AIChatPlatform",
            "metadata": {"name": "default", "generation": generation},
            "spec": {"ingress": ingress},
        }
        world.caches.platform.observe(world.cluster.store(platform))
        costs.append((await world.reconciler.reconcile(NAME)).cost)
    assert costs == [0.05] * len(gateways)


async def test_an_operator_that_crashes_on_a_workspace_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply()
    await world.reconcile()
    phase = world.status["phase"]

    def broken(*_: object) -> Any:
        raise KeyError("a password")

    with monkeypatch.context() as patch:
        patch.setattr("aichat_workspace.operator.reconciler.decide", broken)
        for reason in ("Synced", "Synced", "OperatorCrashed"):
            with pytest.raises(KeyError):
                await world.reconcile()
            assert world.reason("Synced") == reason
    message = world.condition("Synced")["message"]
    assert "KeyError in test_reconciler.py, line " in message
    assert "report the fault" in message
    assert "password" not in message
    assert world.status["phase"] == phase
    await world.reconcile()
    assert world.reason("Synced") == "Synced"


async def test_a_refused_deletion_of_an_expired_workspace_is_reported(world: World) -> None:
    world.apply()
    await world.reconcile()
    phase = world.status["phase"]
    world.apply(expiresAfter="1h")
    world.cluster.refuse(f"delete AIChatWorkspace {RESOURCE}")
    with pytest.raises(ApiError, match="the quota is full"):
        await world.reconcile()
    assert world.reason("Synced") == "ExpiryRefused"
    assert "the quota is full; mend what that names" in world.condition("Synced")["message"]
    assert world.status["phase"] == phase


async def test_an_expiry_is_announced_a_day_before(world: World) -> None:
    world.apply(expiresAfter="2d")
    await world.become_available()
    day_before = NOW + timedelta(hours=23)
    assert await world.reconcile() == (day_before - NOW).total_seconds()
    assert "ExpiresSoon" not in {condition["type"] for condition in world.status["conditions"]}
    world.now = day_before
    assert await world.reconcile() == 24 * 3600
    assert world.condition("ExpiresSoon")["status"] == "True"
    assert "deleted at 2026-11-25T11:00:00Z" in world.condition("ExpiresSoon")["message"]
    world.apply(expiresAfter="9d")
    await world.reconcile()
    assert "ExpiresSoon" not in {condition["type"] for condition in world.status["conditions"]}


async def test_a_clock_that_disagrees_is_reported_and_nothing_expires(world: World) -> None:
    world.apply()
    await world.become_available()
    world.clock_ahead = timedelta(days=30)
    world.apply(expiresAfter="1h")
    assert await world.reconcile() == 60
    assert world.reason("Synced") == "ClockDisagrees"
    assert "43200 min ahead of" in world.condition("Synced")["message"]
    world.clock_ahead = timedelta(seconds=3)
    await world.reconcile()
    assert f"delete AIChatWorkspace {RESOURCE}" in world.cluster.writes


async def test_a_workspace_that_expires_by_being_stopped_says_how_to_go_on(world: World) -> None:
    world.apply(expiresAfter="1h", expiry="Suspend")
    await world.reconcile()
    assert world.status["phase"] == "Suspended"
    assert "raise or remove spec.expiresAfter" in world.condition("OllamaAvailable")["message"]
    assert world.rollouts.board.waiting == []
    deployment = world.cluster.objects[("Deployment", NAME, names.openwebui(NAME))]
    assert deployment["spec"]["replicas"] == 0
    world.apply(expiresAfter="9d", expiry="Suspend")
    await world.reconcile()
    assert world.status["phase"] == "Provisioning"


async def test_claimants_that_know_that_they_lost_cost_no_reading(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply()
    await world.reconcile()
    for number in range(3):
        rival = {
            **world.cluster.objects[WORKSPACE_KEY],
            "metadata": {
                "name": f"rival-{number}",
                "namespace": "team-b",
                "uid": f"uid-{number}",
                "generation": 1,
                "creationTimestamp": f"2026-11-23T11:59:0{number}Z",
            },
            "status": {},
        }
        world.caches.observe(world.cluster.store(rival))
    await world.reconcile()
    assert len([write for write in world.cluster.writes if "rival" in write]) == 3
    snapshots = world.reconciler.snapshots
    read: list[str] = []
    parse = Workspace.parse

    def counted(resource: Json) -> Workspace:
        read.append(resource["metadata"]["name"])
        return parse(resource)

    monkeypatch.setattr(Workspace, "parse", counted)
    assert [claimant.name for claimant in snapshots.take(NAME).claimants] == [RESOURCE]
    assert read == [RESOURCE]
    holder = world.caches.workspaces.get(SYSTEM, RESOURCE)
    assert holder is not None
    world.caches.workspaces._store.remove(holder)
    monkeypatch.setattr(world.caches.namespaces, "get", lambda *_: None)
    successor = snapshots.holder(NAME)
    assert successor is not None
    assert successor.name == "rival-0", "the next one has it"


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
    await world.become_available()
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


class TestOrphan:
    """A namespace whose resource is gone, as when its finalizer was taken off."""

    @pytest.fixture
    async def orphaned(self, world: World) -> World:
        world.apply()
        await world.reconcile()
        world.caches.workspaces._store.remove(world.cluster.objects[WORKSPACE_KEY])
        return world

    async def test_it_is_found_told_once_and_looked_at_when_its_grace_is_over(
        self, orphaned: World
    ) -> None:
        del orphaned.cluster.objects[WORKSPACE_KEY]
        assert orphaned.caches.orphaned_namespaces() == [NAME]
        assert await orphaned.reconcile() == 24 * 3600
        assert orphaned.cluster.writes == [f"apply Namespace {NAME}"]
        assert await orphaned.reconcile() == 24 * 3600
        assert orphaned.cluster.writes == []
        assert orphaned.servers.forgotten == [NAME, NAME]

    async def test_it_is_stopped_and_keeps_its_data(self, orphaned: World) -> None:
        del orphaned.cluster.objects[WORKSPACE_KEY]
        await orphaned.reconcile()
        settings = {"kind": "AIChatPlatform", "spec": {"deletion": {"orphanGraceHours": 1}}}
        metadata = {"name": "default", "resourceVersion": "9999"}
        orphaned.caches.platform.observe({**settings, "metadata": metadata})
        tenant = orphaned.cluster.objects[("Namespace", "", NAME)]
        marks = tenant["metadata"]["annotations"]
        since = f"2026-11-23T10:00:00+00:00 {marks[names.OWNER_UID_ANNOTATION]}"
        marks = {**marks, names.ORPHANED_ANNOTATION: since}
        dated = {**tenant, "metadata": {**tenant["metadata"], "annotations": marks}}
        orphaned.caches.observe(orphaned.cluster.store(dated))
        assert await orphaned.reconcile() is None
        assert orphaned.cluster.writes == [
            f"patch StatefulSet {names.ollama(NAME)}",
            f"patch Deployment {names.openwebui(NAME)}",
            f"delete Ingress {names.openwebui(NAME)}",
            f"apply Namespace {NAME}",
        ]
        assert orphaned.caches.orphaned_namespaces() == []

    async def test_a_resource_that_the_cache_has_not_seen_makes_no_orphan(
        self, orphaned: World
    ) -> None:
        with pytest.raises(ApiError, match="its resource 'aichatworkspace-team-a' is there"):
            await orphaned.reconcile()
        assert orphaned.cluster.writes == []


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
