"""An id finds what a request did; only a trusted proxy chooses it."""

from ipaddress import ip_network

import httpx2
import pytest
import structlog
from fastapi import FastAPI

from aichat_workspace.api.web.requests.request_ids import RequestIdMiddleware, request_id

PROXY = "10.1.2.3"
UUID = "5f2b8c0e-9a1d-4e7f-8b3c-6d2a1e0f9b7c"


def client(address: str) -> httpx2.AsyncClient:
    app = FastAPI()

    @app.get("/")
    async def ids() -> tuple[str, object]:
        return request_id(), structlog.contextvars.get_contextvars()["request_id"]

    app.add_middleware(RequestIdMiddleware, proxies=(ip_network("10.0.0.0/8"),))
    transport = httpx2.ASGITransport(app, client=(address, 4711))
    return httpx2.AsyncClient(transport=transport, base_url="http://api")


async def test_the_log_and_the_response_have_one_new_id_for_each_request() -> None:
    first, second = [await client("192.0.2.1").get("/") for _ in range(2)]
    for response in (first, second):
        assert response.json() == [response.headers["X-Request-ID"]] * 2
    assert first.json() != second.json()
    assert request_id() == ""


async def test_a_call_within_a_request_is_of_that_request() -> None:
    with structlog.contextvars.bound_contextvars(request_id="of-the-page"):
        response = await client("192.0.2.1").get("/")
    assert response.headers["X-Request-ID"] == "of-the-page"


@pytest.mark.parametrize(
    ("address", "sent", "is_taken"),
    [
        (PROXY, UUID, True),
        ("192.0.2.1", UUID, False),
        (PROXY, "short", False),
        (PROXY, "x" * 65, False),
        (PROXY, 'a"b c\\d-and-more', False),
    ],
)
async def test_only_a_trusted_proxys_id_is_taken(address: str, sent: str, is_taken: bool) -> None:
    response = await client(address).get("/", headers={"X-Request-ID": sent})
    assert (response.headers["X-Request-ID"] == sent) is is_taken
