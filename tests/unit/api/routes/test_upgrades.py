"""Pausing and resuming upgrades by the API."""

from itertools import count
from typing import Any

import pytest

from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME
from tests.unit.api.routes.calling import Cluster, calling

PATH = "/api/v1/platform/upgrades"
MARK = "apps.aichatworkspaces.io/upgrades"
TEAMS_MARK = {"example.org/owner": "ann"}
_VERSIONS = count(1, 10)  # writes come between


def put_platform(cluster: ClusterView, marks: dict[str, str] | None = None) -> None:
    metadata: dict[str, Any] = {"name": PLATFORM_NAME, "resourceVersion": str(next(_VERSIONS))}
    metadata |= {"annotations": marks} if marks else {}
    cluster._platform._store.put({"metadata": metadata, "spec": {"ceiling": {"cpu": "8"}}})


def marks_of(cluster: Cluster) -> dict[str, str]:
    platform = cluster.services.cluster._platform.get("", PLATFORM_NAME)
    assert platform is not None
    assert platform["spec"] == {"ceiling": {"cpu": "8"}}
    marks: dict[str, str] = platform["metadata"].get("annotations") or {}
    return marks


@pytest.mark.parametrize("others", [{}, TEAMS_MARK])
async def test_who_may_patch_the_platform_pauses_and_resumes_and_changes_nothing_else(
    others: dict[str, str],
) -> None:
    async with calling() as (cluster, client):
        put_platform(cluster.services.cluster, others)
        assert (await client.get(PATH)).json() == {"paused": False, "mayChange": True}
        for _ in range(2):  # what is so already stays so
            paused = await client.post(f"{PATH}:pause")
            assert (paused.status_code, paused.json()["paused"]) == (200, True)
            assert marks_of(cluster) == {**others, MARK: "paused"}
        assert (await client.get(PATH)).json()["paused"] is True
        for _ in range(2):
            resumed = await client.post(f"{PATH}:resume")
            assert (resumed.status_code, resumed.json()["paused"]) == (200, False)
            assert marks_of(cluster) == others
    reviews = {(a["verb"], a["resource"], a["name"]) for a in cluster.reviews if "name" in a}
    assert reviews == {("patch", "aichatplatforms", "default")}


async def test_a_dry_run_changes_nothing() -> None:
    async with calling() as (cluster, client):
        put_platform(cluster.services.cluster)
        assert (await client.post(f"{PATH}:pause", params={"dryRun": True})).status_code == 200
        assert marks_of(cluster) == {}


async def test_who_may_not_patch_the_platform_is_told_so() -> None:
    async with calling() as (cluster, client):
        put_platform(cluster.services.cluster)
        cluster.allows = lambda review: review["resource"] != "aichatplatforms"
        assert (await client.get(PATH)).json() == {"paused": False, "mayChange": False}
        for action in ("pause", "resume"):
            answer = await client.post(f"{PATH}:{action}")
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert "may not patch aichatplatforms" in answer.json()["detail"]
        assert marks_of(cluster) == {}


async def test_without_a_platform_nothing_can_be_paused() -> None:
    async with calling() as (_, client):
        answer = await client.post(f"{PATH}:pause")
        assert (answer.status_code, answer.json()["code"]) == (409, "no-platform")


async def test_annotations_that_come_meanwhile_are_kept() -> None:
    async with calling() as (cluster, client):
        put_platform(cluster.services.cluster)
        get = cluster.get

        async def get_old(*arguments: Any) -> Any:
            """Return a state that somebody changes before the API writes; once."""
            platform = await get(*arguments)
            cluster.get = get  # type: ignore[method-assign]
            put_platform(cluster.services.cluster, TEAMS_MARK)
            return platform

        cluster.get = get_old  # type: ignore[method-assign]
        assert (await client.post(f"{PATH}:pause")).status_code == 200
        assert marks_of(cluster) == {**TEAMS_MARK, MARK: "paused"}


async def test_a_platform_that_keeps_changing_is_a_conflict() -> None:
    async with calling() as (cluster, client):
        put_platform(cluster.services.cluster)
        get = cluster.get

        async def get_old(*arguments: Any) -> Any:
            platform = await get(*arguments)
            put_platform(cluster.services.cluster, TEAMS_MARK)
            return {**platform, "metadata": {"name": PLATFORM_NAME, "resourceVersion": "1"}}

        cluster.get = get_old  # type: ignore[method-assign]
        assert (await client.post(f"{PATH}:pause")).status_code == 409
