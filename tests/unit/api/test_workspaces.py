from collections.abc import AsyncIterator
from typing import Any

import pytest

from aichat_workspace.api.access import Access
from aichat_workspace.api.directory import Directory
from aichat_workspace.api.identity import Caller
from aichat_workspace.api.problems import Problem
from aichat_workspace.api.schemas import WorkspaceCreate
from aichat_workspace.api.workspaces import Workspaces
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import AlreadyExists
from tests.unit.api.samples import resource

ANN = Caller("ann", "1", ())
TEAM = "aichat-workspace-operator-system"


class ApiServer(Client):
    """Holds what is created; `meanwhile` is what its watch tells before a create is answered."""

    def __init__(self, directory: Directory | None = None) -> None:
        self.directory = directory
        self.made: dict[str, Any] = {}
        self.meanwhile: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.there: list[dict[str, Any]] = []
        self.lists: list[int] = []

    async def list_pages(self, *_: Any, page_size: int = 500, **__: Any) -> AsyncIterator[Any]:
        self.lists.append(page_size)
        yield {"metadata": {"resourceVersion": "20"}, "items": self.there[:page_size]}

    async def create(self, *_: Any, **__: Any) -> Any:
        for each in self.meanwhile:
            assert self.directory is not None
            self.directory.workspaces._store.put(each)
        if not self.made:
            raise AlreadyExists(409, "AlreadyExists", "it is there")
        return self.made

    async def get(self, *_: Any) -> Any:
        return resource("another", resource="team-a", team=TEAM)

    async def delete(self, *at: Any, **_: Any) -> None:
        self.deleted.append("/".join(map(str, at[1:])))

    async def post(self, *_: Any) -> Any:
        return {"status": {"allowed": True}}


@pytest.fixture
async def server() -> ApiServer:
    found = ApiServer()
    found.directory = Directory(found, {})
    return found


def workspaces(server: ApiServer) -> Workspaces:
    assert server.directory is not None
    return Workspaces(server, server.directory, Access.of(server))


def wish(name: str = "team-a") -> WorkspaceCreate:
    return WorkspaceCreate.model_validate({"spec": {"workspaceName": name}})


async def test_of_two_who_create_one_name_the_first_keeps_it_whatever_came_since(
    server: ApiServer,
) -> None:
    """The operator may have touched the first one before its creator is answered."""
    mine = resource(team=TEAM, version=10, owner="ann")
    theirs = resource(team="other", version=11, uid="theirs")
    server.made = mine
    server.meanwhile = [mine, theirs, resource(team=TEAM, version=12, owner="ann")]
    view, is_new = await workspaces(server).create(ANN, wish(), dry_run=False)
    assert (view.key, is_new) == ((TEAM, "team-a"), True)
    assert not server.deleted


async def test_of_two_who_create_one_name_the_second_takes_its_own_back(server: ApiServer) -> None:
    mine = resource(team=TEAM, version=11, owner="ann")
    server.made = mine
    first = resource(team="other", version=10, uid="theirs")
    server.meanwhile = [first, mine, resource(team="other", version=12, uid="theirs")]
    with pytest.raises(Problem) as caught:
        await workspaces(server).create(ANN, wish(), dry_run=False)
    assert caught.value.code == "name-taken"
    assert server.deleted == [f"team-a/{TEAM}"]


async def test_a_resource_of_the_name_for_another_workspace_is_called_so(server: ApiServer) -> None:
    with pytest.raises(Problem) as caught:
        await workspaces(server).create(ANN, wish(), dry_run=False)
    assert caught.value.code == "resource-name-taken"
    assert "'another'" in caught.value.detail


async def test_the_version_that_there_is_costs_no_whole_list(server: ApiServer) -> None:
    assert await workspaces(server).version() == 20
    assert server.lists == [1]


async def test_a_list_that_shows_that_all_is_known_is_remembered(server: ApiServer) -> None:
    assert server.directory is not None
    server.there = [resource("a", version=10), resource("b", version=11)]
    server.directory.workspaces._store.reset(server.there[:1], 10)
    assert not await workspaces(server).is_known()
    assert server.directory.complete_until == 10
    server.directory.workspaces._store.put(server.there[1])
    assert await workspaces(server).is_known()
    assert server.directory.complete_until == 20
