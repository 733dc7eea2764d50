"""What would be ignored is refused."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Body, Depends, FastAPI, Query

from aichat_workspace.api.web.requests.exact_requests import require_exact
from aichat_workspace.api.web.responses import error_handlers


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI(dependencies=[Depends(require_exact)])
    error_handlers.install(app)

    @app.post("/with")
    async def with_body(body: Annotated[Any, Body()], dry_run: bool = False) -> Any:
        return [body, dry_run]

    @app.post("/without")
    @app.delete("/without")
    @app.get("/without")
    async def without_body(models: Annotated[list[str] | None, Query()] = None) -> Any:
        return models

    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


def fields(response: httpx2.Response) -> list[str]:
    assert response.status_code == 422, response.text
    return [error["field"] for error in response.json()["errors"]]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("body", [b'{"dryRun": ["All"]}', b"{}", b" ", b"\xff"])
async def test_a_body_where_none_belongs_is_refused(
    client: httpx2.AsyncClient, method: str, body: bytes
) -> None:
    response = await client.request(method, "/without", content=body)
    assert fields(response) == [""]
    assert "takes no body" in response.json()["detail"]


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
async def test_no_body_is_no_body_whatever_the_headers_say(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await client.post("/without", content=b"", headers=headers)).status_code == 200


async def test_a_parameter_that_stands_twice_is_refused_by_its_name(
    client: httpx2.AsyncClient,
) -> None:
    assert fields(await client.post("/with?dry_run=true&dry_run=false", json=1)) == ["dry_run"]
    assert fields(await client.post("/with?a=1&b=1&a=1&b=", json=1)) == ["a", "b"]
    assert (await client.post("/with?dry_run=true", json=1)).json() == [1, True]


@pytest.mark.parametrize(
    ("body", "repeated"),
    [
        (b'{"a": 1, "a": 2}', ["a"]),
        (b'{"a": {"b": 1, "c": [{"d": 1, "d": 1}], "b": 2}}', ["d", "b"]),
    ],
)
async def test_a_member_that_stands_twice_in_an_object_is_refused_by_its_name(
    client: httpx2.AsyncClient, body: bytes, repeated: list[str]
) -> None:
    headers = {"Content-Type": "application/json"}
    assert fields(await client.post("/with", content=body, headers=headers)) == repeated
    assert (await client.post("/with", json={"a": {"b": 1}, "c": {"b": 2}})).status_code == 200
