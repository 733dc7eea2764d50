"""Usage: what a workspace, a team and the platform use, and who is told."""

from typing import Any

import pytest

from aichat_workspace.api.capacity import usage
from aichat_workspace.api.schemas.usage import PlatformUsage, TeamUsage, WorkspaceUsage
from aichat_workspace.api.workspaces.cluster_view import _claim_summary, _quota_summary
from aichat_workspace.api.workspaces.views import View
from tests.unit.api.routes.calling import QUOTA, Cluster, calling, only_in
from tests.unit.api.samples import resource

_MODELS = [
    {"name": "gemma2:2b", "state": "Ready", "completedBytes": 7, "digest": "a"},
    {"name": "same:latest", "state": "Ready", "completedBytes": 7, "digest": "a"},
    {"name": "llama3.2:1b", "state": "Pulling", "completedBytes": 3, "totalBytes": 9},
]
_RESOURCES = [
    {"kind": "Secret", "name": "one", "state": "Present"},
    {"kind": "Service", "name": "two", "state": "Missing"},
]
_STATUS = {"models": _MODELS, "resources": _RESOURCES}


def _fill(cluster: Cluster) -> None:
    """Two workspaces of team `red` with quotas, and one of team `blue`."""
    for name, team in (("red-a", "red"), ("red-b", "red"), ("blue-a", "blue")):
        cluster.put_tenant(name, team, status=_STATUS)
        cluster.put_quota(name)
    cluster.put_claim("red-a", "red-a-ollama", "20Gi", "32Gi")
    cluster.put_claim("red-a", "red-a-openwebui", "2Gi", None)


async def test_a_workspaces_usage_has_its_quota_volumes_objects_and_models() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        document = (await client.get("/api/v1/workspaces/red-a/usage")).json()
    WorkspaceUsage.model_validate(document, by_name=False)
    assert document["quota"] == [
        {"resource": "limits.cpu", "used": "4500m", "hard": "6", "percent": 75},
        {"resource": "limits.memory", "used": "5Gi", "hard": "10Gi", "percent": 50},
        {"resource": "services.nodeports", "used": "0", "hard": "0", "percent": None},
    ]
    models, chat = document["volumes"]
    assert (models["name"], models["phase"], models["storageClassName"]) == (
        "ollama",
        "Bound",
        "fast",
    )
    assert (models["requestedBytes"], models["capacityBytes"]) == (20 * 2**30, 32 * 2**30)
    assert (models["modelBytes"], models["freeBytes"]) == (10, 32 * 2**30 - 10), (
        "equal weights are stored once, and an unfinished download counts"
    )
    assert (chat["name"], chat["phase"]) == ("openWebUI", "Pending")
    assert (chat["capacityBytes"], chat["modelBytes"], chat["freeBytes"]) == (None, None, None)
    assert document["objects"] == {"present": 1, "expected": 2}
    assert [(model["name"], model["bytes"]) for model in document["models"]] == [
        ("gemma2:2b", 7),
        ("same:latest", 7),
        ("llama3.2:1b", 3),
    ]
    assert document["activity"] is None


async def test_a_namespace_that_is_not_the_workspaces_own_is_not_read() -> None:
    """The API's account sees it, its caller may not."""
    async with calling() as (cluster, client):
        _fill(cluster)
        other = resource("red-a", team="red", resource="other", uid="of-another", created="2025")
        cluster.watch_event(other)
        cluster.watch_event(resource("kube-system", team="red"))
        cluster.put_quota("kube-system")
        cluster.put_claim("kube-system", "kube-system-ollama", "20Gi", "20Gi")
        alien = (await client.get("/api/v1/workspaces/kube-system/usage")).json()
        team = (await client.get("/api/v1/teams/red/usage")).json()
    assert (alien["quota"], alien["volumes"]) == ([], [])
    assert team["workspaces"] == 4
    assert team["quota"][0] == {
        "resource": "limits.cpu",
        "used": "9",
        "hard": "12",
        "percent": 75,
    }


async def test_a_teams_usage_sums_only_its_own_workspaces() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        cluster.allows = only_in("red")
        document = (await client.get("/api/v1/teams/red/usage")).json()
        refused = await client.get("/api/v1/teams/blue/usage")
        unknown = await client.get("/api/v1/teams/no-such-team/usage")
        platform = await client.get("/api/v1/platform/usage")
    TeamUsage.model_validate(document, by_name=False)
    assert (document["team"], document["workspaces"]) == ("red", 2)
    assert document["quota"][1] == {
        "resource": "limits.memory",
        "used": "10Gi",
        "hard": "20Gi",
        "percent": 50,
    }
    assert document["volumes"] == {"requestedBytes": 22 * 2**30, "capacityBytes": 32 * 2**30}
    assert document["objects"] == {"present": 2, "expected": 4}
    assert document["models"] == {"count": 6, "bytes": 20}
    assert (refused.status_code, platform.status_code) == (403, 403)
    assert _told(unknown, "no-such-team") == _told(refused, "blue"), (
        "whether there is such a team is secret, too"
    )
    assert "every team" in platform.json()["detail"]


def _told(answer: Any, team: str) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"].replace(team, "TEAM")


async def test_a_refused_team_costs_as_many_reviews_as_one_that_is_not_there() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        cluster.allows = only_in("red")
        await client.get("/api/v1/teams/red/usage")
        counts = []
        for team in ("blue", "no-such-team"):
            before = len(cluster.reviews)
            await client.get(f"/api/v1/teams/{team}/usage")
            counts.append(len(cluster.reviews) - before)
    assert counts[0] == counts[1]


async def test_a_team_that_is_not_there_is_404_to_who_may_see_it() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        answer = await client.get("/api/v1/teams/no-such-team/usage")
    assert (answer.status_code, answer.json()["code"]) == (404, "team-not-found")


async def test_the_platforms_usage_is_the_sum_of_its_teams() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        document = (await client.get("/api/v1/platform/usage")).json()
    PlatformUsage.model_validate(document, by_name=False)
    by_team = {entry["team"]: entry["workspaces"] for entry in document["teams"]}
    assert by_team == {"aichat-workspace-operator-system": 0, "blue": 1, "red": 2}
    assert document["total"]["workspaces"] == 3
    assert document["total"]["quota"][0]["hard"] == "18"
    assert document["total"]["models"] == {"count": 9, "bytes": 30}


async def test_sums_are_computed_once_for_all_who_ask_within_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[str] = []
    read = usage.stored_bytes

    def counted(view: View) -> int:
        reads.append(view.name)
        return read(view)

    monkeypatch.setattr(usage, "stored_bytes", counted)
    async with calling() as (cluster, client):
        _fill(cluster)
        for _ in range(5):
            await client.get("/api/v1/teams/red/usage")
        assert sorted(reads) == ["red-a", "red-b"]


async def test_usage_asks_the_cluster_for_nothing() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        for path in ("workspaces/red-a/usage", "teams/red/usage", "platform/usage"):
            assert (await client.get(f"/api/v1/{path}")).status_code == 200
        assert cluster.requests == []


def test_a_quota_keeps_what_it_bounds_and_counts_and_nothing_else() -> None:
    metadata = {"name": "n", "namespace": "n", "uid": "u", "resourceVersion": "1"}
    noisy = {**metadata, "managedFields": [1], "labels": {"a": "b"}}
    assert _quota_summary({"metadata": noisy, "spec": {"hard": {}}, "status": QUOTA}) == {
        "metadata": metadata,
        "status": QUOTA,
    }
    assert _quota_summary({"metadata": noisy})["status"] == {"hard": {}, "used": {}}
    assert _claim_summary({"metadata": noisy, "spec": {"volumeName": "v"}})["spec"] == {
        "storageClassName": None,
        "resources": None,
    }
