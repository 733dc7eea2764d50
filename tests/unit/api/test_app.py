"""The application as it is put together."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from fastapi.routing import _IncludedRouter
from starlette.routing import BaseRoute
from structlog.testing import capture_logs

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain.names import SYSTEM_NAMESPACE
from aichat_workspace.runtime import servers
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import resource

PATH = "/api/v1/workspaces/team-a"
JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(lambda: 0, lambda: 0)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    """Ann may do everything with the workspace team-a."""
    monkeypatch.setattr(ClusterView, "is_synced", True)
    kubernetes = FakeWorkspaceClient()
    settings = Settings.read({"API_BURST": "100000"}, in_cluster=False)
    connections = servers.by_proxy(kubernetes), servers.chat_by_proxy(kubernetes)
    services = Services.create(settings, kubernetes, *connections, {})
    kubernetes.cluster = services.cluster
    kubernetes.watch_event(resource())
    return services


@pytest.fixture
def app(services: Services, metrics: Metrics) -> FastAPI:
    app = build(services, metrics)

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


async def test_a_bug_in_any_route_is_a_problem_document(
    client: httpx2.AsyncClient, metrics: Metrics
) -> None:
    response = await client.get("/broken")
    assert (response.status_code, response.json()["code"]) == (500, "bug")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "unexpected detail" not in response.text
    body, _ = metrics.render()
    counted = b'aichat_api_http_requests_total{code="500",method="GET",route="/broken"} 1.0'
    assert counted in body


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
        ("/api/v1/workspaces/team-a/models", "GET, HEAD, POST"),
        ("/api/v1/workspaces/team-a/models/hf.co/a/b:c", "DELETE, GET, HEAD"),
        ("/api/v1/teams/team-a/members/User/oidc:bob/x", "DELETE"),
        ("/api/v1/workspaces/team-a/models/progress", "DELETE, GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_allowed_is_405_with_the_allowed_ones(
    client: httpx2.AsyncClient, path: str, allowed: str
) -> None:
    response = await client.request("OPTIONS", path)
    assert (response.status_code, response.headers["Allow"]) == (405, allowed)


async def test_no_first_request_holds_the_others_up(
    app: FastAPI, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To generate the document takes a third of a second, and to resolve the routes a tenth."""
    threads: list[int] = []
    generate, build_context = app.openapi, _IncludedRouter._build_effective_context

    def noting_generate() -> dict[str, Any]:
        threads.append(threading.get_ident())
        return generate()

    def noting_build(router: _IncludedRouter, route: BaseRoute) -> Any:
        threads.append(threading.get_ident())
        return build_context(router, route)

    monkeypatch.setattr(app, "openapi", noting_generate)
    monkeypatch.setattr(_IncludedRouter, "_build_effective_context", noting_build)
    assert (await client.get(PATH)).status_code == 200
    assert (await client.request("OPTIONS", PATH)).status_code == 405
    assert threads == []
    answers = await asyncio.gather(*(client.get("/openapi.json") for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    assert threads
    assert threading.get_ident() not in threads


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


async def test_a_dry_run_of_an_action_changes_nothing_and_has_no_etag(
    client: httpx2.AsyncClient,
) -> None:
    for action in ("suspend", "resume", "restart"):
        response = await client.post(f"{PATH}:{action}?dryRun=true")
        assert response.status_code in (200, 202), response.text
        assert "ETag" not in response.headers
        assert orjson.loads(response.content)["name"] == "team-a"
    assert not {"suspended", "restart"} & (await client.get(PATH)).json()["spec"].keys()


def operations(app: FastAPI) -> list[tuple[str, str, bool]]:
    """Method and path of each operation, and whether it takes a body."""
    names = {"{name}": "team-a", "{workload}": "ollama", "{model}": "gemma2:2b"}
    names |= {"{pattern}": "explain_code", "{connection}": "example"}
    operations = []
    for path, methods in app.openapi()["paths"].items():
        for placeholder, value in names.items():
            path = path.replace(placeholder, value)  # noqa: PLW2901
        operations += [(method, path, "requestBody" in what) for method, what in methods.items()]
    return operations


async def test_every_operation_refuses_what_it_would_ignore(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    """Kubernetes' own dry run in a body, as `kubectl delete --dry-run=server` sends it."""
    for method, path, takes_body in operations(app):
        if not path.startswith("/api"):
            continue
        status = 400 if path.startswith(f"{PATH}/v1/") else 422
        if not takes_body:
            options = await client.request(method, path, json={"dryRun": ["All"]})
            assert options.status_code == status, (method, path, options.text)
            assert "takes no body" in options.text
        twice = await client.request(method, f"{path}?dryRun=true&dryRun=false")
        assert twice.status_code == status, (method, path)
        if not path.startswith("/api/v1/session/"):  # providers add parameters of their own
            unknown = await client.request(method, f"{path}?dry_run=true")
            assert unknown.status_code == status, (method, path)
    assert (await client.get(PATH)).status_code == 200, "nothing was deleted"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/workspaces", {"spec": {"workspace_name": "team-b"}}),
        ("PATCH", PATH, {"spec": {"open_web_ui": {}}}),
        ("PATCH", PATH, {"spec": {"ollama": {"keep_alive": "5m"}}}),
    ],
)
async def test_a_field_has_one_name(
    client: httpx2.AsyncClient, method: str, path: str, body: dict[str, Any]
) -> None:
    response = await client.request(method, path, json=body)
    assert response.status_code == 422, response.text
    assert "_" in "".join(error["field"] for error in response.json()["errors"])


async def test_the_platform_is_shown_to_people_with_a_team_only(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    kubernetes = app.state.services.client
    for path in ("/api/v1/platform", "/api/v1/patterns", "/api/v1/models"):
        kubernetes.allows = lambda _: False
        refused = await client.get(path, headers={"Authorization": f"Bearer {path}"})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        kubernetes.allows = lambda attributes: attributes.get("namespace") == "team"
        assert (await client.get(path)).status_code == 200


async def test_the_address_of_a_new_workspace_says_its_team(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    new = resource("team-b", team=SYSTEM_NAMESPACE, version=2)
    app.state.services.client.creates(new, events=[new])
    created = await client.post("/api/v1/workspaces", json={"spec": {"workspaceName": "team-b"}})
    location = created.headers["Location"]
    assert location == f"/api/v1/workspaces/team-b?team={SYSTEM_NAMESPACE}"
    assert (await client.get(location)).json() == created.json()


async def test_probes_and_metrics_are_not_on_the_apis_own_port(client: httpx2.AsyncClient) -> None:
    for path in ("/metrics", "/healthz", "/readyz"):
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"), [(PATH, 200), ("/broken", 500), ("/nothing", 404), ("/openapi.json", 200)]
)
async def test_every_response_has_the_security_headers_and_an_id(
    client: httpx2.AsyncClient, path: str, status: int
) -> None:
    response = await client.get(path)
    assert response.status_code == status
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    is_public = path == "/openapi.json"
    assert response.headers["Cache-Control"].startswith("public" if is_public else "private")
    if status >= 400:
        assert response.json()["requestId"] == response.headers["X-Request-ID"]


async def test_a_large_list_is_compressed_on_request_and_the_tag_is_the_same(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    for number in range(50):
        app.state.services.client.watch_event(resource(f"a-{number}", version=2 + number))
    path = "/api/v1/workspaces"
    plain = await client.get(path, headers={"Accept-Encoding": "identity"})
    packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert packed.json() == plain.json()
    assert packed.headers["ETag"] == plain.headers["ETag"]
    unchanged = {"If-None-Match": packed.headers["ETag"]}
    assert (await client.get(path, headers=unchanged)).status_code == 304


async def test_each_decision_writes_one_audit_line(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    about = {"team": "team", "workspace": "team-a"}
    for method, path, outcome, expected in (
        ("GET", PATH, 200, {"action": "read_workspace", **about}),
        ("POST", f"{PATH}:suspend", 202, {"action": "suspend_workspace", **about}),
        ("POST", f"{PATH}:suspend", 200, {"action": "suspend_workspace", **about}),
        ("DELETE", f"{PATH}?dryRun=true", 202, {"action": "delete_workspace", "dry_run": True}),
        ("GET", f"{PATH}-b", 404, {"action": "read_workspace", "workspace": "team-a-b"}),
        ("GET", "/api/v1/workspaces?team=team", 200, {"action": "list_workspaces", "team": "team"}),
    ):
        with capture_logs() as logs:
            response = await client.request(method, path)
        (line,) = [line for line in logs if line["event"] == "audit"]
        assert (response.status_code, line["outcome"]) == (outcome, outcome)
        assert expected.items() <= line.items()
        assert line["address"] == "127.0.0.1"
    app.state.services.client.allows = lambda _: False
    client.headers["Authorization"] = "Bearer eve"
    with capture_logs() as logs:
        await client.request("DELETE", f"{PATH}?team=team")
    assert [(line["action"], line["outcome"]) for line in logs] == [("delete_workspace", 404)]


@pytest.mark.parametrize(
    ("method", "path", "action", "body"),
    [
        ("POST", "/models", "add_model", {"name": "gemma2:2b"}),
        ("DELETE", "/models/gemma2:2b", "remove_model", None),
        ("POST", "/patterns", "add_pattern", {"name": "explain_code"}),
        ("DELETE", "/patterns/explain_code", "remove_pattern", None),
        (
            "POST",
            "/connections",
            "add_connection",
            {"name": "c", "url": "https://a.example.org/v1", "secretName": "s"},
        ),
        ("DELETE", "/connections/c", "remove_connection", None),
        ("POST", ":resetPassword", "reset_password", None),
    ],
)
async def test_a_change_of_a_part_is_exact_and_writes_one_audit_line(
    client: httpx2.AsyncClient, method: str, path: str, action: str, body: dict[str, str] | None
) -> None:
    with capture_logs() as logs:
        response = await client.request(method, f"{PATH}{path}?dryRun=true", json=body)
    (line,) = [line for line in logs if line["event"] == "audit"]
    expected = {"action": action, "team": "team", "workspace": "team-a", "user": "ann"}
    assert {**expected, "outcome": response.status_code}.items() <= line.items()
    if body is not None:
        assert line["dry_run"]
        unknown = await client.request(method, f"{PATH}{path}", json={**body, "nmae": "x"})
        assert unknown.status_code == 422
        assert [error["field"] for error in unknown.json()["errors"]] == ["nmae"]
        twice = orjson.dumps(body).replace(b"{", b'{"name":"twice",', 1)
        repeated = await client.request(method, f"{PATH}{path}", content=twice, headers=JSON)
        assert repeated.status_code == 422
        assert "stands twice" in repeated.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
async def test_a_repeated_member_for_openais_paths_has_the_shape_of_their_errors(
    client: httpx2.AsyncClient, path: str
) -> None:
    content = b'{"model":"m","model":"n","input":"x","messages":[{"role":"user","content":"x"}]}'
    with capture_logs() as logs:
        response = await client.post(f"{PATH}{path}", content=content, headers=JSON)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, "model", "invalid")
    assert "stands twice" in error["message"]
    assert [line["outcome"] for line in logs if line["event"] == "audit"] == [400]


async def test_a_read_waits_for_a_phase(app: FastAPI, client: httpx2.AsyncClient) -> None:
    late = await client.get(f"{PATH}?wait=Ready&timeout=1")
    assert (late.status_code, late.json()["code"]) == (504, "takes-too-long")
    ready = {"phase": "Ready", "observedGeneration": 1}
    app.state.services.client.watch_event(resource(version=2, status=ready))
    assert (await client.get(f"{PATH}?wait=Ready")).json()["status"] == ready


@pytest.mark.parametrize(
    ("query", "prefer", "applied"),
    [
        ("?wait=Ready", "wait=20", "wait=20"),
        ("?wait=Ready", "wait=900", "wait=300"),
        ("?wait=Ready&timeout=5", "wait=20", None),
        ("?wait=Ready", "respond-async", None),
        ("", "wait=20", None),
    ],
)
async def test_a_preferred_wait_is_the_timeout_of_a_read_without_one(
    app: FastAPI, client: httpx2.AsyncClient, query: str, prefer: str, applied: str | None
) -> None:
    ready = {"phase": "Ready", "observedGeneration": 1}
    app.state.services.client.watch_event(resource(version=2, status=ready))
    answer = await client.get(PATH + query, headers={"Prefer": prefer})
    assert (answer.status_code, answer.headers.get("Preference-Applied")) == (200, applied)


async def test_who_prefers_not_to_wait_gets_the_answer_at_once(client: httpx2.AsyncClient) -> None:
    answer = await client.get(f"{PATH}?wait=Ready", headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.json()["code"]) == (504, "takes-too-long")


@pytest.mark.parametrize(
    ("query", "field"),
    [("timeout=5", "timeout"), ("wait=Ready&timeout=301", "timeout"), ("wait=ready", "wait")],
)
async def test_a_wait_that_makes_no_sense_is_refused_by_its_field(
    client: httpx2.AsyncClient, query: str, field: str
) -> None:
    response = await client.get(f"{PATH}?{query}")
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_a_list_tells_how_many_match_on_request(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    kubernetes = app.state.services.client
    for number in range(7):
        name, team = f"b-{number}", "hidden" if number % 2 else "team"
        kubernetes.watch_event(resource(name, team=team, uid=name, version=2 + number))
    kubernetes.allows = lambda attributes: attributes.get("namespace") == "team"
    path = "/api/v1/workspaces?limit=2"
    assert "total" not in (await client.get(path)).json()
    first = (await client.get(f"{path}&count=true&q=b-")).json()
    second = (await client.get(f"{path}&count=true&q=b-&page={first['nextPage']}")).json()
    assert (first["total"], second["total"]) == (4, 4)
    assert [item["name"] for item in first["items"] + second["items"]] == [
        *("b-0", "b-2", "b-4", "b-6")
    ]
