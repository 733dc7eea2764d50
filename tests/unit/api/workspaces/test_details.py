"""Details of a workspace: many reads cost few requests, and faults are reported."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import orjson
import pytest

from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.workspaces import details
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.details import Workload, WorkspaceDetails
from aichat_workspace.api.workspaces.log_query import LogQuery
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client, Stream
from aichat_workspace.kube.errors import UnreachableError
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.transport import Response as OllamaResponse
from tests.unit.api.samples import sample_view

NAMESPACE = {
    "metadata": {
        "name": "team-a",
        "uid": "uid-of-namespace",
        "annotations": {names.OWNER_UID_ANNOTATION: "uid-of-team-a"},
    }
}


@dataclass
class FakeCluster(Client):
    """Has one pod and one event."""

    lists: list[str] = field(default_factory=list)
    """The kinds that were listed."""
    is_broken: bool = False
    """Every list fails."""
    further_events: tuple[Any, ...] = ()

    async def list_pages(self, resource: Resource, *_: Any, **__: Any) -> AsyncIterator[Any]:
        self.lists.append(resource.plural)
        await asyncio.sleep(0)
        if self.is_broken:
            raise UnreachableError("no")
        created = {"creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1"}
        yield {"items": [{"metadata": {"name": "one", **created}}, *self.further_events]}

    @asynccontextmanager
    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[Stream]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"a line\n"

        yield Stream(200, {}, chunks())


@dataclass
class FakeModelServer:
    """Has one model."""

    never_finishes: bool = False
    """Sends something all the time, but never the whole list."""
    requests: int = 0
    status: int = 200

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        while self.never_finishes:
            yield b" "
            await asyncio.sleep(0.001)
        yield orjson.dumps({"models": [{"name": "m:1", "digest": "d", "size": 1}]})

    @asynccontextmanager
    async def __call__(
        self, method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AsyncIterator[OllamaResponse]:
        assert (method, path, body) == ("GET", "/api/tags", None)
        assert idle_seconds > 0
        self.requests += 1
        await asyncio.sleep(0)
        yield self


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def view() -> View:
    return sample_view(status={"namespace": {"name": "team-a", "uid": "uid-of-namespace"}})


def create_service(
    cluster: FakeCluster, models: FakeModelServer, monkeypatch: pytest.MonkeyPatch
) -> WorkspaceDetails:
    monkeypatch.setattr(ClusterView, "namespace", lambda *_: NAMESPACE)
    return WorkspaceDetails(cluster, ClusterView(cluster, {}), lambda _: OllamaClient(models))


async def test_many_reads_of_events_and_logs_cost_one_list_of_each(
    cluster: FakeCluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = create_service(cluster, FakeModelServer(), monkeypatch)
    for _ in range(2):
        answers = await asyncio.gather(*(service.events(view) for _ in range(20)))
        assert {len(events) for events in answers} == {2}
    assert cluster.lists == ["events"] * 2  # one of the team's namespace, one of its own
    for _ in range(3):
        pieces = await service.logs(view, Workload.OLLAMA, LogQuery())
        assert [piece async for piece in pieces] == [b"a line\n"]
    assert cluster.lists[2:] == ["pods"]
    pieces = await service.logs(view, Workload.OPENWEBUI, LogQuery())
    assert [piece async for piece in pieces] == [b"a line\n"]
    assert cluster.lists[2:] == ["pods"] * 2


async def test_many_reads_of_models_cost_one_request_to_the_server(
    cluster: FakeCluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = FakeModelServer()
    service = create_service(cluster, models, monkeypatch)
    for _ in range(2):
        answers = await asyncio.gather(*(service.models(view) for _ in range(20)))
        assert answers == [[{"name": "m:1", "sizeBytes": 1, "origin": "person"}]] * 20
    assert models.requests == 1


async def test_answers_are_cached_per_workspace(
    cluster: FakeCluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = create_service(cluster, FakeModelServer(), monkeypatch)
    await service.events(view)
    await service.events(sample_view("team-b"))
    assert cluster.lists == ["events"] * 3  # team-b has no namespace of its own to read


async def test_events_of_one_second_are_in_their_order(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = "2026-02-01T00:00:00Z"
    moments = [(8, created), (9, created), (3, "2026-02-01T00:00:00.500000Z")]
    events = tuple(
        {
            "metadata": {"resourceVersion": str(version), "creationTimestamp": created},
            "eventTime": moment,
            "message": str(version),
        }
        for version, moment in moments
    )
    cluster = FakeCluster(further_events=events)
    service = create_service(cluster, FakeModelServer(), monkeypatch)
    messages = [document["message"] for document in await service.events(view)]
    assert [*dict.fromkeys(messages)] == ["3", "9", "8", ""], "the newest first"


async def test_a_failed_read_of_events_is_repeated(
    cluster: FakeCluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = create_service(cluster, FakeModelServer(), monkeypatch)
    cluster.is_broken = True
    with pytest.raises(UnreachableError):
        await service.events(view)
    cluster.is_broken = False
    assert len(await service.events(view)) == 2


async def test_a_model_server_that_never_finishes_is_a_problem(
    cluster: FakeCluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(details, "_MODELS_SECONDS", 0.05)
    service = create_service(cluster, FakeModelServer(never_finishes=True), monkeypatch)
    with pytest.raises(ProblemError, match="takes too long"):
        await service.models(view)


_EMAIL = {"WEBUI_ADMIN_EMAIL": "YW5u"}
_PASSWORD = {"WEBUI_ADMIN_PASSWORD": "c2VjcmV0"}


class FakeSecretClient(Client):
    """Has the Secret of a workspace's credentials, made of these parts."""

    def __init__(self, **parts: Any) -> None:
        self._parts = parts

    async def get(self, *_: Any) -> Any:
        marks = {names.OWNER_UID_ANNOTATION: "uid-of-team-a"}
        return {"metadata": {"annotations": marks}, **self._parts}


def with_secret(client: Client) -> WorkspaceDetails:
    return WorkspaceDetails(client, ClusterView(client, {}), _no_server)


def _no_server(_: str) -> NoReturn:
    raise AssertionError("no model server is asked")


async def test_credentials_are_shown_as_they_were_made() -> None:
    credentials = await with_secret(FakeSecretClient(data=_EMAIL | _PASSWORD)).credentials(
        sample_view()
    )
    assert (credentials["email"], credentials["password"]) == ("ann", "secret")


@pytest.mark.parametrize("parts", [{}, {"data": None}, {"data": _EMAIL}, {"data": _PASSWORD}])
async def test_incomplete_credentials_are_409(
    parts: dict[str, Any],
) -> None:
    with pytest.raises(ProblemError) as caught:
        await with_secret(FakeSecretClient(**parts)).credentials(sample_view())
    assert (caught.value.status, caught.value.code) == (409, "credentials-incomplete")
    assert "team-a-credentials" in caught.value.detail
