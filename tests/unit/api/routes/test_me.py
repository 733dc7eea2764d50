"""What callers are told about themselves, and by how many reviews."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.runtime import servers
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import resource

TEAMS = [f"team-{number:02}" for number in range(20)]
SYSTEM = "aichat-workspace-operator-system"


@pytest.fixture
def kubernetes() -> FakeWorkspaceClient:
    return FakeWorkspaceClient(allows=lambda review: review.get("namespace") == TEAMS[3])


@pytest.fixture
async def client(
    kubernetes: FakeWorkspaceClient, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx2.AsyncClient]:
    monkeypatch.setattr(ClusterView, "is_synced", True)
    settings = Settings.read({}, in_cluster=True)
    connections = servers.by_proxy(kubernetes), servers.chat_by_proxy(kubernetes)
    services = Services.create(settings, kubernetes, *connections, {})
    kubernetes.cluster = services.cluster
    for team in TEAMS:
        kubernetes.watch_event(resource(f"chat-{team}", team=team))
    transport = httpx2.ASGITransport(build(services, Metrics(lambda: 0, lambda: 0)))
    headers = {"Authorization": "Bearer ann"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://api/api/v1", headers=headers
    ) as client:
        yield client


async def test_me_costs_one_review_per_team_which_lists_share(
    client: httpx2.AsyncClient, kubernetes: FakeWorkspaceClient
) -> None:
    answer = (await client.get("/me")).json()
    assert answer == {"username": "ann", "groups": [], "everywhere": [], "teams": [TEAMS[3]]}
    everywhere = [review for review in kubernetes.reviews if "namespace" not in review]
    teams = [review["namespace"] for review in kubernetes.reviews if "namespace" in review]
    assert len(everywhere) == 10
    assert sorted(teams) == sorted([*TEAMS, SYSTEM])
    for _ in range(3):
        assert (await client.get("/me")).json() == answer
        assert (await client.get("/workspaces")).status_code == 200
    assert len(kubernetes.reviews) == len(everywhere) + len(teams)


async def test_a_caller_who_may_list_everywhere_has_every_team_without_reviews_of_them(
    client: httpx2.AsyncClient, kubernetes: FakeWorkspaceClient
) -> None:
    kubernetes.allows = lambda _: True
    answer = (await client.get("/me")).json()
    assert answer["teams"] == sorted([*TEAMS, SYSTEM])
    assert "get aichatworkspaces/credentials" in answer["everywhere"]
    assert len(kubernetes.reviews) == 10


async def test_the_rights_in_one_team_are_asked_for_there_only(
    client: httpx2.AsyncClient, kubernetes: FakeWorkspaceClient
) -> None:
    rights = (await client.get(f"/me/teams/{TEAMS[3]}")).json()
    assert rights["team"] == TEAMS[3]
    assert "create aichatworkspaces/prompt" in rights["verbs"]
    assert {review["namespace"] for review in kubernetes.reviews} == {TEAMS[3]}
    assert (await client.get("/me/teams/no-such-team")).json()["verbs"] == []
    assert (await client.get("/me/teams/No_Team")).status_code == 422


@pytest.mark.parametrize(
    ("query", "allowed"),
    [
        ({"verb": "create", "team": TEAMS[3]}, True),
        ({"verb": "get", "team": TEAMS[3], "subresource": "log"}, True),
        ({"verb": "create", "team": TEAMS[4]}, False),
        ({"verb": "create"}, False),
    ],
)
async def test_can_i_asks_one_question(
    client: httpx2.AsyncClient,
    kubernetes: FakeWorkspaceClient,
    query: dict[str, Any],
    allowed: bool,
) -> None:
    assert (await client.get("/me/can-i", params=query)).json() == {"allowed": allowed}
    (review,) = kubernetes.reviews
    assert review["verb"] == query["verb"]
    assert review.get("subresource") == query.get("subresource")


@pytest.mark.parametrize("query", [{}, {"verb": "fly"}, {"verb": "get", "subresource": "secret"}])
async def test_can_i_names_what_is_wrong_with_a_question(
    client: httpx2.AsyncClient, query: dict[str, str]
) -> None:
    response = await client.get("/me/can-i", params=query)
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["field"] == ("subresource" if "subresource" in query else "verb")
