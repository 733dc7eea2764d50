"""One line for each decision, and no flood of them."""

import asyncio
from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI, Response
from structlog.testing import capture_logs

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.audit_log import AuditMiddleware, RefusalSampler
from tests.unit.api.clock import FakeClock


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/api/act")
    async def act(status: int = 200) -> Response:
        await asyncio.create_task(_note_user())
        return Response(status_code=status)

    @app.get("/other")
    async def other() -> None:
        audit_log.note(user="ann")

    app.add_middleware(AuditMiddleware, address=lambda _: "192.0.2.1")
    return app


async def _note_user() -> None:
    audit_log.note(user="ann", via="bearer", team="")


@pytest.fixture
def client() -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(application())
    return httpx2.AsyncClient(transport=transport, base_url="http://api")


@pytest.mark.parametrize("status", [200, 403])
async def test_the_line_has_what_a_task_of_the_request_noted(
    client: httpx2.AsyncClient, status: int
) -> None:
    with capture_logs() as logs:
        await client.get(f"/api/act?status={status}")
    line = {"user": "ann", "action": "act", "outcome": status, "address": "192.0.2.1"}
    assert logs == [{"event": "audit", "log_level": "info", "via": "bearer", **line}]


async def test_what_is_no_request_to_the_api_writes_none(client: httpx2.AsyncClient) -> None:
    with capture_logs() as logs:
        await client.get("/other")
        audit_log.note(user="ann")
    assert not logs


async def test_a_pages_form_that_is_refused_before_its_route_writes_a_line(
    client: httpx2.AsyncClient,
) -> None:
    with capture_logs() as logs:
        await client.post("/nothing")
        await client.get("/nothing")
    assert [(log["event"], log["outcome"]) for log in logs] == [("audit", 404)]


async def test_refusals_are_sampled_and_what_is_allowed_is_not(client: httpx2.AsyncClient) -> None:
    with capture_logs() as logs:
        for _ in range(30):
            await client.get("/api/act?status=401")
        for _ in range(30):
            await client.get("/api/act")
    outcomes = [line["outcome"] for line in logs]
    assert (outcomes.count(401), outcomes.count(200)) == (20, 30)


def taken(sampler: RefusalSampler, source: str) -> Iterator[int | None]:
    while True:
        yield sampler.take(source)


def test_a_line_after_a_flood_says_how_many_were_left_out() -> None:
    clock = FakeClock()
    ann, bob = (taken(sampler, source) for sampler in [RefusalSampler(clock)] for source in "ab")
    assert [next(ann) for _ in range(25)] == [0] * 20 + [None] * 5
    assert next(bob) == 0, "the limit is each source's own"
    clock.now += 10
    assert [next(ann) for _ in range(21)] == [5] + [0] * 19 + [None]


def test_the_sampler_forgets_the_oldest_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "_MAX_SOURCES", 3)
    sampler = RefusalSampler(FakeClock())
    for source in range(10):
        sampler.take(str(source))
    assert list(sampler._windows) == ["7", "8", "9"]
