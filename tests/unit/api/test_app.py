"""The application as it is put together."""

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import httpx2
import orjson
import pytest
from fastapi import FastAPI

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.runtime import servers
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import resource

PATH = "/api/v1/workspaces/team-a"
JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    """Ann may do everything with the workspace team-a."""
    monkeypatch.setattr(ClusterView, "is_synced", True)
    kubernetes = FakeWorkspaceClient()
    settings = Settings.read({"API_BURST": "100000"}, in_cluster=False)
    services = Services.create(settings, kubernetes, servers.by_proxy(kubernetes), {})
    kubernetes.cluster = services.cluster
    kubernetes.watch_event(resource())
    return services


@pytest.fixture
def app(services: Services) -> FastAPI:
    app = build(services, Metrics(lambda: 0, lambda: 0))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("unexpected detail")

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app)
    headers = {"Authorization": "Bearer ann"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://api", headers=headers
    ) as client:
        yield client


async def test_a_bug_in_any_route_is_a_problem_document(client: httpx2.AsyncClient) -> None:
    response = await client.get("/broken")
    assert (response.status_code, response.json()["code"]) == (500, "bug")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "unexpected detail" not in response.text
    metrics = (await client.get("/metrics")).text
    assert 'aichat_api_http_requests_total{code="500",method="GET",route="/broken"} 1.0' in metrics


async def test_a_workspace_answers_head(client: httpx2.AsyncClient) -> None:
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
async def test_a_method_that_is_not_allowed_is_405_with_the_allowed_ones(
    client: httpx2.AsyncClient, path: str, allowed: str
) -> None:
    response = await client.request("OPTIONS", path)
    assert (response.status_code, response.headers["Allow"]) == (405, allowed)


async def test_a_deeply_nested_patch_is_422(
    client: httpx2.AsyncClient,
) -> None:
    """Which depth reaches what recursion depends on the caller's stack, so every one is tried."""
    for depth in (33, *range(600, 1001), 20_000):
        patch = b'{"spec":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
        response = await client.patch(PATH, content=patch, headers=MERGE)
        assert (response.status_code, response.json()["code"]) == (422, "invalid"), depth
        if depth < 700:  # deeper ones may be more than what reads JSON can take
            assert "nested deeper than 32" in response.json()["detail"]


async def test_bodies_are_limited_by_their_heads(client: httpx2.AsyncClient) -> None:
    for path in ("/api/v1/workspaces", "/api/v1/session"):
        large = await client.post(path, content=b"1" * 300_000, headers=JSON)
        other = await client.post(path, content=b"{}", headers={"Content-Type": "text/plain"})
        assert (large.status_code, other.status_code) == (413, 415)
        assert large.headers["Content-Type"] == "application/problem+json"
    sign_in = await client.post("/api/v1/session", content=b"1" * 30_000, headers=JSON)
    assert (sign_in.status_code, "20480 bytes" in sign_in.json()["detail"]) == (413, True)


async def test_a_body_without_a_caller_is_refused_unread(client: httpx2.AsyncClient) -> None:
    reads = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal reads
        reads += 1
        yield b"{}"

    client.headers.pop("Authorization")
    for method, path in (("POST", "/api/v1/workspaces"), ("PATCH", PATH), ("GET", PATH)):
        response = await client.request(method, path, content=body(), headers=JSON)
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert reads == 0


async def test_a_request_with_a_body_counts_once(
    client: httpx2.AsyncClient, services: Services
) -> None:
    bucket = services.rate_limits.per_caller
    bucket.clock = lambda: 0.0
    assert (await client.patch(PATH, json={"spec": {}})).status_code == 200
    assert bucket._buckets["ann"][0] == bucket.burst - 1
    assert services.bodies.total == services.requests.taken == 0


async def test_a_caller_has_a_share_of_requests_at_once(
    client: httpx2.AsyncClient, services: Services
) -> None:
    slots: list[int] = []

    def allows(_: Any) -> bool:
        slots.append(services.requests.taken)
        return True

    assert isinstance(services.client, FakeWorkspaceClient)
    services.client.allows = allows
    bounds = services.settings.bounds
    with ExitStack() as stack:
        for _ in range(bounds.concurrent_requests + bounds.streams_per_caller - 1):
            stack.enter_context(services.requests.slot("ann"))
        assert (await client.get(PATH)).status_code == 200
        assert slots == [bounds.concurrent_requests + bounds.streams_per_caller]
        stack.enter_context(services.requests.slot("ann"))
        refused = await client.get(PATH)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        other = await client.get(PATH, headers={"Authorization": "Bearer bob"})
        assert other.status_code == 200
    assert services.requests.taken == 0


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"scheduling": {"tolerations": [{"operator": "\ud800"}]}}, "tolerations[0].operator"),
        ({"scheduling": {"tolerations": [{"effect": "\udfff"}]}}, "tolerations[0].effect"),
        ({"namespaceUID": "\ud800"}, "namespaceUID"),
    ],
)
async def test_half_of_a_surrogate_pair_is_422(
    client: httpx2.AsyncClient, spec: dict[str, Any], field: str
) -> None:
    patch = json.dumps({"spec": spec}).encode()
    create = json.dumps({"spec": {"workspaceName": "team-b", **spec}}).encode()
    for response in (
        await client.patch(PATH, content=patch, headers=MERGE),
        await client.post("/api/v1/workspaces", content=create, headers=JSON),
    ):
        assert response.status_code == 422, response.text
        (error,) = response.json()["errors"]
        assert error["field"].endswith(field)


async def test_a_dry_run_of_a_suspension_changes_nothing_and_has_no_etag(
    client: httpx2.AsyncClient,
) -> None:
    for action in ("suspend", "resume"):
        response = await client.post(f"{PATH}:{action}?dryRun=true")
        assert response.status_code in (200, 202), response.text
        assert "ETag" not in response.headers
        assert orjson.loads(response.content)["name"] == "team-a"
    assert "suspended" not in (await client.get(PATH)).json()["spec"]
