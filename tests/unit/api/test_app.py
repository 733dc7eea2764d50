"""The application as it is put together."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest
from fastapi import FastAPI

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services, get_caller
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.runtime import servers
from tests.unit.api.samples import resource
from tests.unit.api.workspaces.test_service import ANN, ApiServer

PATH = "/api/v1/workspaces/team-a"
JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def app() -> FastAPI:
    """Ann may do everything with the workspace team-a."""
    server = ApiServer()
    settings = Settings.read({}, in_cluster=False)
    services = Services.create(settings, server, servers.by_proxy(server), {})
    server.cluster = services.cluster
    server.tells(resource())
    made = build(services, Metrics(lambda: 0, lambda: 0))

    @made.get("/broken")
    async def broken() -> None:
        raise RuntimeError("nobody expected this")

    made.dependency_overrides[get_caller] = lambda: ANN
    return made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as found:
        yield found


async def test_a_bug_in_any_route_is_a_problem_document(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "bug")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "nobody expected" not in answer.text
    metrics = (await client.get("/metrics")).text
    assert 'aichat_http_requests_total{code="500",method="GET",route="/broken"} 1.0' in metrics


async def test_what_can_be_read_has_a_head(client: httpx2.AsyncClient) -> None:
    whole, head = await client.get(PATH), await client.head(PATH)
    assert (whole.status_code, head.status_code, head.content) == (200, 200, b"")
    assert head.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/workspaces", "GET, HEAD, POST"),
        ("/api/v1/workspaces/team-a", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/api/v1/workspaces/team-a:suspend", "POST"),
        ("/api/v1/workspaces:watch", "GET"),
        ("/api/v1/workspaces/team-a/logs/ollama", "GET"),
        ("/metrics", "GET, HEAD"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_told_those_that_it_takes(
    client: httpx2.AsyncClient, path: str, allowed: str
) -> None:
    answer = await client.request("OPTIONS", path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


async def test_a_patch_that_is_nested_deeply_is_not_valid_and_never_a_bug(
    client: httpx2.AsyncClient,
) -> None:
    """Which depth reaches what recursion depends on the caller's stack, so every one is tried."""
    for depth in (33, *range(600, 1001), 20_000):
        patch = b'{"spec":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
        answer = await client.patch(PATH, content=patch, headers=MERGE)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), depth
        if depth < 700:  # deeper ones may be more than what reads JSON can take
            assert "nested deeper than 32" in answer.json()["detail"]


async def test_bodies_are_bounded_before_anybody_is_asked_who_sends_them(
    client: httpx2.AsyncClient,
) -> None:
    for path in ("/api/v1/workspaces", "/api/v1/session"):
        large = await client.post(path, content=b"1" * 300_000, headers=JSON)
        other = await client.post(path, content=b"{}", headers={"Content-Type": "text/plain"})
        assert (large.status_code, other.status_code) == (413, 415)
        assert large.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"scheduling": {"tolerations": [{"operator": "\ud800"}]}}, "tolerations[0].operator"),
        ({"scheduling": {"tolerations": [{"effect": "\udfff"}]}}, "tolerations[0].effect"),
        ({"namespaceUID": "\ud800"}, "namespaceUID"),
    ],
)
async def test_half_of_a_surrogate_pair_is_not_valid_and_never_a_bug(
    client: httpx2.AsyncClient, spec: dict[str, Any], field: str
) -> None:
    patch = json.dumps({"spec": spec}).encode()
    create = json.dumps({"spec": {"workspaceName": "team-b", **spec}}).encode()
    for answer in (
        await client.patch(PATH, content=patch, headers=MERGE),
        await client.post("/api/v1/workspaces", content=create, headers=JSON),
    ):
        assert answer.status_code == 422, answer.text
        (found,) = answer.json()["errors"]
        assert found["field"].endswith(field)


async def test_a_rehearsed_suspension_changes_nothing_and_gives_no_etag(
    client: httpx2.AsyncClient,
) -> None:
    for deed in ("suspend", "resume"):
        answer = await client.post(f"{PATH}:{deed}?dryRun=true")
        assert answer.status_code in (200, 202), answer.text
        assert "ETag" not in answer.headers
        assert orjson.loads(answer.content)["name"] == "team-a"
    assert "suspended" not in (await client.get(PATH)).json()["spec"]
