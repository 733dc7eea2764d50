"""What a workspace has become: what many ask is asked of the cluster and of its model server once,
and what is not as it should be is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from tests.unit.api.samples import shown

NAMESPACE = {
    "metadata": {
        "name": "team-a",
        "uid": "uid-of-namespace",
        "annotations": {names.OWNER_UID_ANNOTATION: "uid-of-team-a"},
    }
}


class Cluster(Client):
    """Has one pod and one event; `lists` are the kinds that were listed."""

    def __init__(self) -> None:
        self.lists: list[str] = []
        self.broken = False

    async def list_pages(self, resource: Resource, *_: Any, **__: Any) -> AsyncIterator[Any]:
        self.lists.append(resource.plural)
        await asyncio.sleep(0)
        if self.broken:
            raise UnreachableError("no")
        created = "2026-01-01T00:00:00Z"
        yield {"items": [{"metadata": {"name": "one", "creationTimestamp": created}}]}

    @asynccontextmanager
    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[Stream]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"a line\n"

        yield Stream(200, {}, chunks())


class Models:
    """A model server; one that drips says something all the time, and never all."""

    def __init__(self, *, drips: bool = False) -> None:
        self.asked = 0
        self.status = 200
        self._drips = drips

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        while self._drips:
            yield b" "
            await asyncio.sleep(0.001)
        yield orjson.dumps({"models": [{"name": "m:1", "digest": "d", "size": 1}]})

    @asynccontextmanager
    async def __call__(
        self, method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AsyncIterator[OllamaResponse]:
        assert (method, path, body) == ("GET", "/api/tags", None)
        assert idle_seconds > 0
        self.asked += 1
        await asyncio.sleep(0)
        yield self


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def view() -> View:
    return shown(status={"namespace": {"name": "team-a", "uid": "uid-of-namespace"}})


def tenants(cluster: Cluster, models: Models, monkeypatch: pytest.MonkeyPatch) -> WorkspaceDetails:
    monkeypatch.setattr(ClusterView, "namespace", lambda *_: NAMESPACE)
    return WorkspaceDetails(cluster, ClusterView(cluster, {}), lambda _: OllamaClient(models))


async def test_many_who_want_events_and_logs_cost_one_list_of_each(
    cluster: Cluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = tenants(cluster, Models(), monkeypatch)
    for _ in range(2):
        told = await asyncio.gather(*(of.events(view) for _ in range(20)))
        assert {len(each) for each in told} == {2}
    assert cluster.lists == ["events"] * 2  # of its team's namespace, and of its own
    for _ in range(3):
        pieces = await of.logs(view, Workload.OLLAMA, LogQuery())
        assert [each async for each in pieces] == [b"a line\n"]
    assert cluster.lists[2:] == ["pods"]
    pieces = await of.logs(view, Workload.OPENWEBUI, LogQuery())
    assert [each async for each in pieces] == [b"a line\n"]
    assert cluster.lists[2:] == ["pods"] * 2


async def test_many_who_want_models_cost_their_server_one_request(
    cluster: Cluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models()
    of = tenants(cluster, models, monkeypatch)
    for _ in range(2):
        told = await asyncio.gather(*(of.models(view) for _ in range(20)))
        assert told == [[{"name": "m:1", "sizeBytes": 1, "origin": "person"}]] * 20
    assert models.asked == 1


async def test_one_workspaces_answer_is_not_anothers(
    cluster: Cluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = tenants(cluster, Models(), monkeypatch)
    await of.events(view)
    await of.events(shown("team-b"))
    assert cluster.lists == ["events"] * 3  # team-b's namespace is not its own, so nobody looks


async def test_an_answer_that_failed_is_asked_for_again(
    cluster: Cluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = tenants(cluster, Models(), monkeypatch)
    cluster.broken = True
    with pytest.raises(UnreachableError):
        await of.events(view)
    cluster.broken = False
    assert len(await of.events(view)) == 2


async def test_a_server_that_drips_is_given_up(
    cluster: Cluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(details, "_MODELS_SECONDS", 0.05)
    of = tenants(cluster, Models(drips=True), monkeypatch)
    with pytest.raises(ProblemError, match="takes too long"):
        await of.models(view)


_EMAIL = {"WEBUI_ADMIN_EMAIL": "YW5u"}
_PASSWORD = {"WEBUI_ADMIN_PASSWORD": "c2VjcmV0"}


class OneSecret(Client):
    """Holds a workspace's credentials."""

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
    found = await with_secret(OneSecret(data=_EMAIL | _PASSWORD)).credentials(shown())
    assert (found["email"], found["password"]) == ("ann", "secret")


@pytest.mark.parametrize("parts", [{}, {"data": None}, {"data": _EMAIL}, {"data": _PASSWORD}])
async def test_credentials_that_somebody_has_damaged_are_told_as_such(
    parts: dict[str, Any],
) -> None:
    with pytest.raises(ProblemError) as caught:
        await with_secret(OneSecret(**parts)).credentials(shown())
    assert (caught.value.status, caught.value.code) == (409, "credentials-incomplete")
    assert "team-a-credentials" in caught.value.detail
