import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.planning.actions import Action, Apply, Delete, Prune, Scale
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.status import compute_status
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.controller import Controller, Result
from aichat_workspace.kube.errors import (
    ApiError,
    Cause,
    ConflictError,
    ForbiddenError,
    InvalidError,
    UnreachableError,
)
from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.work_queue import Queue
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.telemetry.events import expired
from aichat_workspace.operator.writer import Writer
from tests.unit.domain.samples import NOW
from tests.unit.waiting import turns, until

RESOURCE: Json = {
    "apiVersion": names.API_VERSION,
    "kind": "AIChatWorkspace",
    "metadata": {
        "name": "a",
        "namespace": names.SYSTEM_NAMESPACE,
        "uid": "uid-a",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-11-23T11:00:00Z",
    },
    "spec": {"workspaceName": "team-a"},
}


@dataclass
class Cluster:
    """Takes statuses, answers everything else as told, and counts. Its watch may tell of a write
    before the write is answered."""

    watch_first: bool = False
    error: Exception | None = None
    resource: Json = field(default_factory=lambda: RESOURCE)
    events: list[Json] = field(default_factory=list)
    watched: Callable[[Json], None] = lambda _: None

    async def apply(self, _: object, body: Json, **__: Any) -> Json:
        metadata = self.resource["metadata"]
        metadata = {**metadata, "resourceVersion": str(int(metadata["resourceVersion"]) + 1)}
        self.resource = {**self.resource, "metadata": metadata, "status": body["status"]}
        if self.watch_first:
            self.watched(self.resource)
        await asyncio.sleep(0)
        return self.resource

    async def create(self, _: object, body: Json, **__: Any) -> Json:
        if self.error:
            raise self.error
        self.events.append(body)
        return body

    async def json_patch(self, *_: Any, **__: Any) -> Json:
        if self.error:
            raise self.error
        return {}

    async def delete(self, *_: Any, **__: Any) -> None:
        assert self.error
        raise self.error


class Setup:
    def __init__(self, cluster: Cluster) -> None:
        self.queue: Queue[str] = Queue()
        self.caches = Caches(cast("Client", cluster), self.queue.add)
        cluster.watched = self.caches.workspaces._store.put
        self.caches.workspaces._store.put(RESOURCE)
        self.writer = Writer(cast("Client", cluster), self.caches)

    @property
    def workspace(self) -> Workspace:
        (document,) = self.caches.workspaces.by_index("team-a")
        return Workspace.parse(document)

    async def report(self, text: str) -> None:
        """A status that says this, and what it asks for again."""
        workspace = self.workspace
        status = compute_status(workspace, StatusInputs(url=text), NOW)
        await self.writer.report(workspace, status, NOW)

    async def work(
        self, reconcile: Callable[[str], Awaitable[Result]], meanwhile: Awaitable[None]
    ) -> None:
        running = asyncio.create_task(Controller(self.queue, reconcile, workers=1).run())
        await meanwhile
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("watch_first", [False, True])
async def test_a_refusal_that_is_told_in_new_words_each_time_is_tried_again_ever_later(
    *, watch_first: bool
) -> None:
    cluster = Cluster(watch_first=watch_first)
    setup = Setup(cluster)
    tries: list[float] = []

    async def reconcile(_: str) -> Result:
        tries.append(asyncio.get_running_loop().time())
        await setup.report(f"request {len(tries)}")
        raise ApiError(403, "Forbidden", "no")

    await setup.work(reconcile, until(lambda: len(tries) > 3))
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    for pause, least in zip(pauses, (0.03, 0.06, 0.12), strict=False):
        assert pause > least, "50, 100 and 200 ms, less a little"


async def test_a_status_that_somebody_else_wrote_is_looked_at() -> None:
    """As one of a former leader that came late."""
    cluster = Cluster()
    setup = Setup(cluster)
    tries = 0

    async def reconcile(_: str) -> Result:
        nonlocal tries
        tries += 1
        await setup.report("mine")
        return Result()

    await setup.work(reconcile, turns())
    assert tries == 1
    metadata = {**cluster.resource["metadata"], "resourceVersion": "9"}
    setup.caches.workspaces._store.put({**cluster.resource, "metadata": metadata, "status": {}})
    await setup.work(reconcile, turns())
    assert tries == 2


async def test_a_spec_that_changes_with_the_status_is_looked_at() -> None:
    cluster = Cluster(watch_first=True)
    setup = Setup(cluster)
    await setup.queue.get()
    setup.queue.done("team-a")
    cluster.resource = {**RESOURCE, "spec": {"workspaceName": "team-a", "suspended": True}}
    await setup.report("mine")
    assert len(setup.queue) == 1


async def test_a_workspace_that_was_edited_after_it_was_read_does_not_expire() -> None:
    cluster = Cluster(error=AssertionError("nothing may be deleted"))
    setup = Setup(cluster)
    workspace = setup.workspace
    edited = {**RESOURCE["metadata"], "resourceVersion": "2", "generation": 2}
    cluster.watched({**RESOURCE, "metadata": edited})
    with pytest.raises(ConflictError, match="edited"):
        await setup.writer.delete_workspace(workspace)


TEST = {"op": "test", "path": "/metadata/resourceVersion", "value": "1"}
PRUNE = Prune(Ref("Service", "team-a", "s"), [TEST])
STOP = Scale(Ref("Deployment", "team-a", "d"))


async def test_an_object_that_changed_while_it_was_to_be_pruned_is_no_refusal() -> None:
    setup = Setup(Cluster(error=InvalidError(422, "Invalid", "the server rejected our request")))
    with pytest.raises(ConflictError):
        await setup.writer.execute_all([PRUNE])


async def test_a_resource_that_changed_while_it_was_to_be_let_go_is_no_refusal() -> None:
    setup = Setup(Cluster(error=InvalidError(422, "Invalid", "the server rejected our request")))
    finalized = setup.workspace.model_copy(update={"finalizers": (names.FINALIZER,)})
    with pytest.raises(ConflictError):
        await setup.writer.remove_finalizer(finalized)


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (PRUNE, InvalidError(422, "Invalid", "bad", (Cause("spec.a", "FieldValueInvalid", "no"),))),
        (STOP, InvalidError(422, "Invalid", "bad")),
        (PRUNE, InvalidError(400, "BadRequest", "bad")),
        (Delete(Ref("Service", "team-a", "s"), "u"), ApiError(403, "Forbidden", "bad")),
    ],
)
async def test_what_is_refused_is_told_in_the_api_servers_words_with_what_to_do(
    action: Action, error: ApiError
) -> None:
    failure, raised, _ = await Setup(Cluster(error=error)).writer.execute_all([action])
    assert raised is error
    assert failure is not None
    assert failure.reason == "WriteRefused"
    assert "bad; mend what it names" in failure.message


async def test_a_webhooks_refusal_is_no_old_view_whatever_code_it_has() -> None:
    message = 'admission webhook "labels.example.org" denied the request: keep cost-center'
    error = InvalidError(422, "Invalid", message)
    failure, raised, _ = await Setup(Cluster(error=error)).writer.execute_all([PRUNE])
    assert raised is error
    assert failure is not None


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_an_error_that_passes_is_no_refusal_and_keeps_what_waits(status: int) -> None:
    error = ApiError(status, "ServiceUnavailable", "etcdserver: leader changed")
    cluster = Cluster(error=error)
    waiting = Apply({"kind": "Namespace", "metadata": {"name": "team-a"}}, waits=True)
    failure, raised, _ = await Setup(cluster).writer.execute_all([STOP, waiting])
    assert failure is None
    assert raised is error
    assert cluster.resource is RESOURCE, "nothing was applied"


EXCEEDED = 'statefulsets "o" is forbidden: exceeded quota: team-a, requested: cpu=3'


@pytest.mark.parametrize(
    ("message", "counted", "passes"),
    [
        (EXCEEDED, {"limits.cpu": "2"}, True),
        (EXCEEDED, {"limits.cpu": "4000m"}, False),
        (f"{EXCEEDED}, used: limits.cpu=2, limited: limits.cpu=2", {"limits.cpu": "4"}, True),
        (
            EXCEEDED.replace("team-a", "site") + ", used: limits.cpu=2, limited: limits.cpu=2",
            {"limits.cpu": "4"},
            False,
        ),
        (f"{EXCEEDED}, used: pods=1, limited: limits.cpu=4000m,pods=1", {"limits.cpu": "4"}, False),
        ("forbidden: status unknown for quota: team-a, resources: limits.cpu", {}, True),
        ("forbidden: failed quota: team-a: must specify limits.cpu", {}, False),
    ],
)
async def test_a_quota_that_was_just_written_is_waited_for(
    message: str, counted: Json, *, passes: bool
) -> None:
    setup = Setup(Cluster(error=ForbiddenError(403, "Forbidden", message)))
    quota = {
        "kind": "ResourceQuota",
        "metadata": {"name": "team-a", "namespace": "team-a", "resourceVersion": "5"},
        "spec": {"hard": {"limits.cpu": "4"}},
        "status": {"hard": counted},
    }
    setup.caches.observe(quota)
    failure, raised, _ = await setup.writer.execute_all([STOP])
    assert raised is not None
    assert raised.is_retryable is passes
    assert (failure is None) is passes


@pytest.mark.parametrize("error", [ApiError(500, "InternalError", "no"), UnreachableError("reset")])
async def test_an_event_that_could_not_be_written_is_written_the_next_time(
    error: Exception,
) -> None:
    cluster = Cluster(error=error)
    setup = Setup(cluster)
    event = expired(setup.workspace, NOW)
    await setup.writer.emit_event(event, NOW)
    cluster.error = None
    await setup.writer.emit_event(event, NOW)
    assert [event["reason"] for event in cluster.events] == ["Expired"]


async def test_an_event_names_the_pod_that_speaks() -> None:
    cluster = Cluster()
    setup = Setup(cluster)
    writer = Writer(cast("Client", cluster), setup.caches, instance="operator-7d4b9-x2x1z")
    await writer.emit_event(expired(setup.workspace, NOW), NOW)
    (event,) = cluster.events
    assert event["reportingController"] == "apps.aichatworkspaces.io/aichat-workspace-operator"
    assert event["reportingInstance"] == "operator-7d4b9-x2x1z"
