"""A team's people and scripts, as a client sees them."""

from collections.abc import AsyncIterator

import httpx2
import pytest
import structlog
from structlog.testing import capture_logs

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.runtime import servers
from tests.fakes.listing import take_list
from tests.unit.api.teams.team_cluster import TeamCluster, namespace


@pytest.fixture
def cluster() -> TeamCluster:
    return TeamCluster()


@pytest.fixture
async def client(
    cluster: TeamCluster, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx2.AsyncClient]:
    monkeypatch.setattr(ClusterView, "is_synced", True)
    settings = Settings.read({}, in_cluster=True)
    connections = servers.by_proxy(cluster), servers.chat_by_proxy(cluster)
    services = Services.create(settings, cluster, *connections, {})
    take_list(services.cluster._namespaces._store, [namespace()], 1)
    transport = httpx2.ASGITransport(build(services, Metrics(lambda: 0, lambda: 0)))
    headers = {"Authorization": "Bearer ann"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://api/api/v1/teams/team-a", headers=headers
    ) as client:
        yield client


async def test_a_member_comes_and_goes(client: httpx2.AsyncClient) -> None:
    body = {"name": "oidc:https://id.example.org/#bob", "role": "editor"}
    invited = await client.post("/members", json=body)
    assert (invited.status_code, invited.json()["invitedBy"]) == (201, "ann")
    assert (await client.post("/members", json=body)).status_code == 200
    assert (await client.get("/members")).json() == {"items": [invited.json()], "complete": True}
    removed = await client.delete("/members/User/oidc:https:%2F%2Fid.example.org%2F%23bob")
    assert removed.json() == invited.json()
    assert (await client.get("/members")).json()["items"] == []


async def test_a_dry_run_of_an_invitation_is_200(client: httpx2.AsyncClient) -> None:
    body = {"name": "oidc:bob", "role": "viewer"}
    answer = await client.post("/members?dryRun=true", json=body)
    assert (answer.status_code, answer.json()["role"]) == (200, "viewer")
    assert (await client.get("/members")).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "system:masters", "kind": "Group"}, "name"),
        ({"name": "system:serviceaccount:kube-system:x"}, "name"),
        ({"name": "bo\nb"}, "name"),
        ({"name": ""}, "name"),
        ({"role": "owner"}, "role"),
        ({"kind": "Robot"}, "kind"),
    ],
)
async def test_what_can_not_be_invited_is_refused_by_its_field(
    client: httpx2.AsyncClient, cluster: TeamCluster, change: dict[str, str], field: str
) -> None:
    body = {"name": "oidc:bob", "role": "editor", **change}
    answer = await client.post("/members", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not cluster.of("RoleBinding")


async def test_a_token_is_shown_once_and_kept_by_no_cache_and_no_log(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aichat_workspace.api.auth.audit_log._log", structlog.get_logger())
    with capture_logs() as lines:
        created = await client.post("/tokens", json={"name": "ci", "role": "viewer"})
    assert (created.status_code, created.json()["token"]) == (201, "a.b.c")
    assert created.headers["Cache-Control"] == "no-store"
    (line,) = lines
    assert line["account"] == "aichat-token-ci"
    assert (line["user"], line["team"], line["role"]) == ("ann", "team-a", "viewer")
    assert "a.b.c" not in str(lines)
    listed = await client.get("/tokens")
    assert [token["name"] for token in listed.json()["items"]] == ["ci"]
    assert "a.b.c" not in listed.text
    assert (await client.delete("/tokens/ci")).json() == listed.json()["items"][0]
    assert (await client.delete("/tokens/ci")).json()["code"] == "token-not-found"


@pytest.mark.parametrize("seconds", [599, 7_776_001])
async def test_a_token_s_time_is_bounded(client: httpx2.AsyncClient, seconds: int) -> None:
    body = {"name": "ci", "role": "viewer", "expiresInSeconds": seconds}
    answer = await client.post("/tokens", json=body)
    assert [error["field"] for error in answer.json()["errors"]] == ["expiresInSeconds"]


async def test_the_audit_line_says_who_invited_whom(client: httpx2.AsyncClient) -> None:
    with capture_logs() as lines:
        await client.post("/members", json={"name": "oidc:bob", "role": "admin"})
    (line,) = lines
    assert line["action"] == "invite_member"
    assert (line["user"], line["member"], line["role"]) == ("ann", "User oidc:bob", "admin")
