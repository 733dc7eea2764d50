"""The catalogue: what is known of models, whether they fit, and who is told."""

from typing import Any, Final

import httpx2
import pytest

from aichat_workspace.api.schemas.catalogue import ModelCatalogue
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME
from tests.unit.api.routes.calling import Cluster, calling, only_in

PATH: Final = "/api/v1/catalogue"
_READY: Final = {
    "name": "own:1b",
    "state": "Ready",
    "completedBytes": 2**30,
    "totalBytes": 2**30,
    "digest": "a",
}


async def _read(client: httpx2.AsyncClient, query: str = "") -> dict[str, dict[str, Any]]:
    document = (await client.get(f"{PATH}{query}")).json()
    ModelCatalogue.model_validate(document, by_name=False)
    return {item["name"]: item for item in document["items"]}


def _fill(cluster: Cluster) -> None:
    cluster.put_tenant("red-a", "red", spec={"models": ["own:1b"]}, status={"models": [_READY]})
    cluster.put_tenant("blue-a", "blue", spec={"models": ["secret:7b", "gemma2:2b"]})


async def test_well_known_models_have_their_facts_before_any_workspace_has_them() -> None:
    async with calling() as (_, client):
        model = (await _read(client))["qwen3:8b"]
    assert model == {
        "name": "qwen3:8b",
        "workspaces": 0,
        "sizeBytes": 5_200_000_000,
        "isSizeMeasured": False,
        "memoryBytes": 7 * 2**30,
        "contextLength": 40_960,
        "capabilities": ["completion", "tools", "thinking"],
        "licence": "Apache-2.0",
        "source": "https://ollama.com/library/qwen3",
        "fits": None,
        "toRaise": [],
    }


async def test_what_a_workspace_has_is_measured_and_the_rest_of_it_unknown() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        cluster.put_tenant(
            "red-b",
            "red",
            spec={"models": ["GEMMA2:2b"]},
            status={"models": [{**_READY, "name": "gemma2:2b", "totalBytes": 77}]},
        )
        models = await _read(client)
    assert (models["own:1b"]["sizeBytes"], models["own:1b"]["isSizeMeasured"]) == (2**30, True)
    for unknown in ("contextLength", "capabilities", "licence", "source"):
        assert models["own:1b"][unknown] is None
    assert (models["gemma2:2b"]["sizeBytes"], models["gemma2:2b"]["workspaces"]) == (77, 2)
    assert models["gemma2:2b"]["contextLength"] == 8_192
    assert (models["secret:7b"]["sizeBytes"], models["secret:7b"]["memoryBytes"]) == (None, None)


async def test_models_of_teams_that_the_caller_may_not_see_are_neither_named_nor_counted() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        cluster.allows = only_in("red")
        models = await _read(client)
        hidden = await client.get(f"{PATH}?workspace=blue-a")
        missing = await client.get(f"{PATH}?workspace=none-a")
    assert "own:1b" in models
    assert "secret:7b" not in models
    assert models["gemma2:2b"]["workspaces"] == 0
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json()["detail"].replace("blue", "none") == missing.json()["detail"]


async def test_who_may_list_no_team_is_refused() -> None:
    async with calling() as (cluster, client):
        cluster.allows = lambda _: False
        assert (await client.get(PATH)).status_code == 403


async def test_models_say_whether_they_fit_a_workspace() -> None:
    spec = {
        "models": ["own:1b"],
        "resources": {"ollama": {"memoryLimit": "4Gi"}},
        "storage": {"ollama": {"size": "3Gi"}},
    }
    async with calling() as (cluster, client):
        cluster.put_tenant("red-a", "red", spec=spec, status={"models": [_READY]})
        pending = await _read(client, "?workspace=red-a")
        cluster.put_claim("red-a", "red-a-ollama", "3Gi", "32Gi")
        bound = await _read(client, "?workspace=red-a&team=red")
    assert (pending["own:1b"]["fits"], pending["own:1b"]["toRaise"]) == (True, [])
    assert pending["gemma2:2b"]["fits"] is True
    fields = {change["field"]: change["to"] for change in pending["llama3.1:8b"]["toRaise"]}
    assert pending["llama3.1:8b"]["fits"] is False
    assert fields == {"spec.resources.ollama.memoryLimit": "6Gi", "spec.storage.ollama.size": "6Gi"}
    fields = {change["field"]: change["to"] for change in bound["llama3.1:8b"]["toRaise"]}
    assert fields == {"spec.resources.ollama.memoryLimit": "6Gi"}, "the volume is larger than asked"


async def test_with_a_graphics_processor_memory_is_no_bound() -> None:
    gpu = {"resources": {"ollama": {"memoryLimit": "2Gi", "gpu": {"count": 1}}}}
    async with calling() as (cluster, client):
        cluster.put_tenant("red-a", "red", spec=gpu)
        model = (await _read(client, "?workspace=red-a"))["qwen3:14b"]
    assert (model["fits"], model["toRaise"]) == (True, [])


async def test_a_spec_that_is_not_understood_leaves_open_what_fits() -> None:
    async with calling() as (cluster, client):
        cluster.put_tenant("red-a", "red", spec={"storage": "much"})
        assert (await _read(client, "?workspace=red-a"))["qwen3:8b"]["fits"] is None


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("memory=8Gi", True),
        ("memory=4Gi", False),
        ("memory=0.5", False),
        ("storage=5Gi", False),
        ("storage=6Gi", True),
    ],
)
async def test_models_say_whether_they_fit_a_size(query: str, fits: bool) -> None:
    async with calling() as (_, client):
        assert (await _read(client, f"?{query}"))["qwen3:8b"]["fits"] is fits


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("team=red", "team"),
        ("workspace=red-a&memory=8Gi", "memory"),
        ("workspace=red-a&storage=8Gi", "storage"),
        ("memory=much", "memory"),
        ("memory=0", "memory"),
        ("workspace=Red", "workspace"),
        ("workspace=", "workspace"),
        ("size=8Gi", "size"),
    ],
)
async def test_a_query_without_a_meaning_is_refused_by_its_parameter(
    query: str, field: str
) -> None:
    async with calling() as (_, client):
        answer = await client.get(f"{PATH}?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_model_that_the_platform_does_not_allow_is_left_out() -> None:
    settings = {"models": {"allowedRegistries": ["models.example.org"]}}
    platform = {"metadata": {"name": PLATFORM_NAME, "resourceVersion": "1"}, "spec": settings}
    async with calling() as (cluster, client):
        cluster.services.cluster._platform._store.put(platform)
        spec = {"models": ["models.example.org/ours/good:1b", "bad:1b", "up:120b-cloud", "?"]}
        cluster.put_tenant("red-a", "red", spec=spec)
        models = await _read(client)
    assert set(models) == {"models.example.org/ours/good:1b"}


async def test_what_is_in_use_is_counted_once_for_all_who_see_the_same() -> None:
    async with calling() as (cluster, client):
        _fill(cluster)
        await _read(client)
        cluster.put_tenant("red-c", "red", spec={"models": ["new:1b"]})
        assert "new:1b" not in await _read(client), "within two seconds"
        cluster.allows = only_in("red")
        cluster.services.authorizer._answers._answers.clear()
        assert "new:1b" in await _read(client), "others are counted by themselves"
