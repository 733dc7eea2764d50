"""What there is to choose, and who is told how much room a team has."""

from typing import Any, Final

import pytest

from aichat_workspace.api.schemas.options import OptionsDocument
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME
from tests.unit.api.routes.calling import Cluster, calling, only_in

PATH: Final = "/api/v1/options"
_COUNT: Final = "count/aichatworkspaces.apps.aichatworkspaces.io"


def _class(name: str, mark: str = "", **more: Any) -> dict[str, Any]:
    annotations = {f"{mark}.kubernetes.io/is-default-class": "true"} if mark else {}
    return {"metadata": {"name": name, "annotations": annotations}, **more}


def _quota(hard: dict[str, str], used: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "q"}, "status": {"hard": hard, "used": used}}


def _fill(cluster: Cluster) -> None:
    cluster.put_tenant("red-a", "red")
    cluster.put_tenant("blue-a", "blue")
    cluster.lists["storageclasses", None] = [
        _class("slow"),
        _class("fast", "storageclass", allowVolumeExpansion=True),
    ]
    cluster.lists["ingressclasses", None] = [_class("traefik", "ingressclass"), _class("nginx")]
    cluster.lists["resourcequotas", "red"] = [
        _quota({_COUNT: "12", "pods": "3"}, {_COUNT: "2", "pods": "3"}),
        _quota({_COUNT: "4"}, {_COUNT: "2"}),
        _quota({"pods": "3"}, {"pods": "3"}),
        {"metadata": {"name": "not counted yet"}},
    ]
    cluster.lists["resourcequotas", "blue"] = [_quota({_COUNT: "1"}, {_COUNT: "1"})]


def _put_platform(cluster: Cluster, spec: dict[str, Any]) -> None:
    platform = {"metadata": {"name": PLATFORM_NAME, "resourceVersion": "1"}, "spec": spec}
    cluster.services.cluster._platform._store.put(platform)


async def test_the_classes_are_those_of_the_cluster_that_the_platform_allows() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        document = (await client.get(PATH)).json()
    OptionsDocument.model_validate(document, by_name=False)
    assert document["storageClasses"] == [
        {"name": "fast", "isDefault": True, "canGrow": True},
        {"name": "slow", "isDefault": False, "canGrow": False},
    ]
    assert document["ingressClasses"] == [], "the default settings allow none to be named"
    assert document["workspaces"] is None


async def test_what_the_platform_uses_by_itself_may_be_named() -> None:
    settings = {
        "storageClassName": "slow",
        "ingress": {"className": "nginx", "issuer": {"name": "ca"}},
        "allowed": {"storageClasses": [], "issuers": ["other", "ca"], "signIn": ["APIKeys"]},
        "ollama": {"memoryLimit": "16Gi"},
    }
    async with calling() as (cluster, client):
        _fill(cluster)
        _put_platform(cluster, settings)
        document = (await client.get(PATH)).json()
    assert [entry["name"] for entry in document["storageClasses"]] == ["slow"]
    assert document["ingressClasses"] == [{"name": "nginx", "isDefault": False}]
    assert document["issuers"] == ["ca", "other"]
    assert document["signIn"] == ["APIKeys"]
    new = document["newWorkspace"]
    assert (new["storageClass"], new["ingressClass"], new["issuer"]) == ("slow", "nginx", "ca")
    assert (new["cpu"], new["memory"], new["storage"]) == ("6100m", "18496Mi", "22Gi")


_SIZE_CLASSES: Final = [
    {
        "name": "small",
        "description": "For a few people",
        "resources": {"ollama": {"cpuLimit": "2", "memoryLimit": "4Gi", "gpu": {"count": 1}}},
        "storage": {"ollama": {"size": "10Gi"}},
        "models": ["gemma2:2b"],
    },
    {"name": "huge", "resources": {"ollama": {"memoryLimit": "500Gi"}}},
    {"name": "ours", "allowedTeams": ["blue"]},
    {"name": "old", "successor": "small"},
]


async def test_size_classes_are_listed_with_what_each_costs_and_whether_it_fits() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        _put_platform(cluster, {"sizeClasses": _SIZE_CLASSES})
        red = (await client.get(f"{PATH}?team=red")).json()
        blue = (await client.get(f"{PATH}?team=blue")).json()
        any_team = (await client.get(PATH)).json()
    async with calling() as (cluster, client):
        _fill(cluster)
        _put_platform(cluster, {"sizeClasses": _SIZE_CLASSES})
        cluster.allows = only_in("red")
        only_red = (await client.get(PATH)).json()
    OptionsDocument.model_validate(red, by_name=False)
    small, huge = red["sizeClasses"]
    assert small == {
        "name": "small",
        "description": "For a few people",
        "cpu": "4",
        "memory": "6Gi",
        "storage": "12Gi",
        "modelMemory": "4Gi",
        "gpus": 1,
        "models": ["gemma2:2b"],
        "fits": True,
        "obstacle": "",
    }
    assert (huge["name"], huge["fits"]) == ("huge", False)
    assert "asks for 502Gi of memory in all, and the platform allows 256Gi" in huge["obstacle"]
    assert [entry["name"] for entry in blue["sizeClasses"]] == ["small", "huge", "ours"]
    assert {entry["obstacle"] for entry in blue["sizeClasses"]} == {
        "the team has 1 of 1 workspaces"
    }
    assert [entry["name"] for entry in any_team["sizeClasses"]] == ["small", "huge", "ours"]
    assert [entry["name"] for entry in only_red["sizeClasses"]] == ["small", "huge"]


async def test_a_teams_room_is_that_of_its_narrowest_quota() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        red = (await client.get(f"{PATH}?team=red")).json()["workspaces"]
        blue = (await client.get(f"{PATH}?team=blue")).json()["workspaces"]
        cluster.put_tenant("free-a", "free")
        free = (await client.get(f"{PATH}?team=free")).json()["workspaces"]
    assert red == {"used": 2, "hard": 4, "remaining": 2}
    assert blue == {"used": 1, "hard": 1, "remaining": 0}
    assert free is None


async def test_a_quota_that_was_lowered_leaves_no_room() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        cluster.lists["resourcequotas", "red"] = [_quota({_COUNT: "1"}, {_COUNT: "3"})]
        assert (await client.get(f"{PATH}?team=red")).json()["workspaces"]["remaining"] == 0


async def test_the_quota_of_a_team_that_the_caller_may_not_list_is_not_even_read() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        cluster.allows = only_in("red")
        answers = [await client.get(f"{PATH}?team={team}") for team in ("blue", "no-such-team")]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert cluster.requests == []
        assert (await client.get(f"{PATH}?team=red")).status_code == 200


async def test_many_who_ask_cost_one_list_of_each_kind() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        for _ in range(5):
            await client.get(f"{PATH}?team=red")
    assert sorted(cluster.requests) == [
        ("ingressclasses", None),
        ("resourcequotas", "red"),
        ("storageclasses", None),
    ]


@pytest.mark.parametrize("query", ["team=", "team=Red", "teams=red"])
async def test_a_query_that_is_none_is_refused(query: str) -> None:
    async with calling() as (_, client):
        assert (await client.get(f"{PATH}?{query}")).status_code == 422


async def test_the_destinations_of_backups_are_those_that_the_team_may_choose() -> None:
    s3 = {"endpoint": "https://s3.example.org", "bucket": "backups", "secretName": "store"}
    destinations = [
        {"name": "attic", "s3": s3, "allowedTeams": ["blue"]},
        {"name": "offsite", "description": "Another region", "s3": s3},
    ]
    async with calling() as (cluster, client):
        _fill(cluster)
        _put_platform(cluster, {"backup": {"destinations": destinations}})
        of_red = (await client.get(PATH, params={"team": "red"})).json()["backupDestinations"]
        assert of_red == [
            {"name": "offsite", "description": "Another region", "kind": "s3", "isDefault": True}
        ]
        of_blue = (await client.get(PATH, params={"team": "blue"})).json()["backupDestinations"]
        assert [(entry["name"], entry["isDefault"]) for entry in of_blue] == [
            ("attic", True),
            ("offsite", False),
        ]
        cluster.allows = only_in("red")
        cluster.services.authorizer._answers._answers.clear()
        of_mine = (await client.get(PATH)).json()["backupDestinations"]
        assert [entry["name"] for entry in of_mine] == ["offsite"]
        assert not of_mine[0]["isDefault"]
