"""How far the API server is."""

import pytest

from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.watching.api_server import ApiServer
from tests.fakes.listing import take_list
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import resource


@pytest.fixture
async def client() -> FakeWorkspaceClient:
    client = FakeWorkspaceClient(stored=resource())
    client.cluster = ClusterView(client, {})
    return client


@pytest.fixture
def api_server(client: FakeWorkspaceClient) -> ApiServer:
    assert client.cluster is not None
    return ApiServer(client, client.cluster)


async def test_the_version_is_read_from_a_list_of_one(
    client: FakeWorkspaceClient, api_server: ApiServer
) -> None:
    assert await api_server.version() == 20
    assert client.page_sizes == [1]


async def test_a_complete_view_remembers_the_version_of_the_list(
    client: FakeWorkspaceClient, api_server: ApiServer
) -> None:
    cluster = api_server.cluster
    client.listed = [resource("a", version=10), resource("b", version=11)]
    take_list(cluster.workspaces._store, client.listed[:1], 10)
    assert not await api_server.is_complete()
    assert cluster.complete_version == 10
    client.watch_event(client.listed[1])
    assert await api_server.is_complete()
    assert cluster.complete_version == 20
