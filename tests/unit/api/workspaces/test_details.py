"""Details of a workspace: many reads cost few requests, and faults are reported."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.details import WorkspaceDetails
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain import names
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import UnreachableError
from tests.unit.api.samples import OWN_NAMESPACE, running_view, sample_view


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


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def view() -> View:
    return running_view()


def create_service(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> WorkspaceDetails:
    monkeypatch.setattr(ClusterView, "namespace", lambda *_: OWN_NAMESPACE)
    return WorkspaceDetails(cluster, ClusterView(cluster, {}))


async def test_many_reads_of_events_cost_one_list_of_each_namespace(
    cluster: FakeCluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = create_service(cluster, monkeypatch)
    for _ in range(2):
        answers = await asyncio.gather(*(service.events(view) for _ in range(20)))
        assert {len(events) for events in answers} == {2}
    assert cluster.lists == ["events"] * 2  # one of the team's namespace, one of its own


async def test_answers_are_cached_per_workspace(
    cluster: FakeCluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = create_service(cluster, monkeypatch)
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
    service = create_service(cluster, monkeypatch)
    messages = [document["message"] for document in await service.events(view)]
    assert [*dict.fromkeys(messages)] == ["3", "9", "8", ""], "the newest first"


async def test_a_failed_read_of_events_is_repeated(
    cluster: FakeCluster, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = create_service(cluster, monkeypatch)
    cluster.is_broken = True
    with pytest.raises(UnreachableError):
        await service.events(view)
    cluster.is_broken = False
    assert len(await service.events(view)) == 2


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
    return WorkspaceDetails(client, ClusterView(client, {}))


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
