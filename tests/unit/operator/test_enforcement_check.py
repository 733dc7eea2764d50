"""Whether the cluster holds network policies is tried on loopback: a listener is an open port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.status.platform_status import Enforcement
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import UnreachableError
from aichat_workspace.operator import enforcement_check
from aichat_workspace.operator.enforcement_check import check, maintain
from aichat_workspace.operator.observed.caches import Caches
from tests.unit.waiting import turns


class FakePolicies:
    """An API server that has these network policies."""

    def __init__(self, *policies: str) -> None:
        self.policies = policies
        self.failure: Exception | None = None

    async def list_pages(self, *_: Any, **options: Any) -> AsyncIterator[dict[str, Any]]:
        assert options == {"namespace": names.SYSTEM_NAMESPACE}
        if self.failure:
            raise self.failure
        yield {"items": [{"metadata": {"name": name}} for name in self.policies]}


def client(*policies: str) -> Client:
    return cast("Client", FakePolicies(*policies))


WALLED = client(names.API, names.OPERATOR)


def endpoint_slice(port: int, *, ready: bool = True) -> dict[str, Any]:
    endpoint = {"addresses": ["127.0.0.1"], "conditions": {"ready": ready}}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "api", "namespace": names.SYSTEM_NAMESPACE, "resourceVersion": "1"},
        "ports": [{"port": port}],
        "endpoints": [endpoint],
    }


@asynccontextmanager
async def listener() -> AsyncIterator[int]:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def closed_port() -> int:
    async with listener() as port:
        return port


async def test_a_port_that_answers_shows_that_no_wall_is_there() -> None:
    async with listener() as port:
        result = await check(WALLED, lambda: [endpoint_slice(port)], settle_seconds=0)
    assert result is Enforcement.NOT_ENFORCED


async def test_a_port_that_does_not_answer_is_behind_a_wall() -> None:
    endpoints = [endpoint_slice(await closed_port())]
    result = await check(WALLED, lambda: endpoints, settle_seconds=0)
    assert result is Enforcement.ENFORCED


async def test_nothing_is_known_without_a_pod_that_is_ready_or_without_policies() -> None:
    async with listener() as port:
        cases: list[tuple[list[Any], Client]] = [
            ([], WALLED),
            ([endpoint_slice(port, ready=False)], WALLED),
            ([endpoint_slice(port)], client("theirs")),
        ]
        for endpoints, server in cases:
            result = await check(server, endpoints.copy, settle_seconds=0)
            assert result is Enforcement.UNCHECKED


@pytest.mark.parametrize(
    ("reached", "result"),
    [
        ((True, False, False), Enforcement.ENFORCED),  # a wall that comes up a moment later
        ((False, True, True, True), Enforcement.NOT_ENFORCED),  # one packet was lost
        ((True, False, True, False), Enforcement.UNCHECKED),
    ],
)
async def test_a_wall_is_one_that_is_met_twice_in_a_row(
    monkeypatch: pytest.MonkeyPatch, reached: tuple[bool, ...], result: Enforcement
) -> None:
    answers = iter(reached)

    async def is_reached(*_: Any) -> bool:
        return next(answers)

    monkeypatch.setattr(enforcement_check, "_is_reached", is_reached)
    assert await check(WALLED, lambda: [endpoint_slice(1)], settle_seconds=0) is result
    assert not [*answers]


async def test_a_pod_that_stops_meanwhile_is_no_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = iter(([endpoint_slice(1)], [endpoint_slice(1, ready=False)]))

    async def is_reached(*_: Any) -> bool:
        return False

    monkeypatch.setattr(enforcement_check, "_is_reached", is_reached)
    result = await check(WALLED, lambda: next(stopping), settle_seconds=0)
    assert result is Enforcement.UNCHECKED


async def test_it_is_tried_when_the_api_is_ready_and_then_not_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[object] = []
    real = enforcement_check.check

    async def check_once(client: Client, endpoints: Any) -> Enforcement:
        tried.append(endpoints)
        return await real(client, endpoints, settle_seconds=0)

    monkeypatch.setattr(enforcement_check, "check", check_once)
    caches = Caches(WALLED, lambda _: None)
    maintaining = asyncio.create_task(maintain(WALLED, caches))
    await turns()
    assert (len(tried), caches.enforcement) == (1, Enforcement.UNCHECKED)
    caches.platform_moved.clear()
    async with listener() as port:
        caches.api_endpoints.observe(endpoint_slice(port))
        async with asyncio.timeout(30):
            await caches.platform_moved.wait()
    assert (len(tried), caches.enforcement) == (2, Enforcement.NOT_ENFORCED)
    changed = {**endpoint_slice(port)}
    changed["metadata"] = {**changed["metadata"], "resourceVersion": "2"}
    caches.api_endpoints.observe(changed)
    await turns()
    assert len(tried) == 2, "until the hour is over"
    maintaining.cancel()


async def test_an_api_server_that_does_not_answer_leaves_it_as_it_was() -> None:
    policies = FakePolicies(names.API)
    policies.failure = UnreachableError("reset")
    server = cast("Client", policies)
    caches = Caches(server, lambda _: None)
    caches.enforcement = Enforcement.ENFORCED
    caches.api_endpoints.observe(endpoint_slice(1))
    maintaining = asyncio.create_task(maintain(server, caches))
    await turns()
    assert caches.enforcement is Enforcement.ENFORCED
    assert not maintaining.done()
    maintaining.cancel()
