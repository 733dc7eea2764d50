from typing import Any

import httpx2
import pytest
from fastapi import Body, FastAPI

from aichat_workspace.api import errors
from aichat_workspace.api.bodies import BoundedBodies

_JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client() -> httpx2.AsyncClient:
    app = FastAPI()
    errors.install(app)

    @app.post("/size")
    async def size(body: Any = Body()) -> int:  # noqa: B008  (FastAPI's way)
        return len(body)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("nobody expected this")

    app.add_middleware(errors.Bugs)
    app.add_middleware(BoundedBodies, most_bytes=100)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api")


async def _pieces(total: int) -> Any:
    yield b'"'
    for _ in range(total - 2):
        yield b"a"
    yield b'"'


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413)])
async def test_a_body_is_bounded_to_the_byte_however_it_comes(
    client: httpx2.AsyncClient, size: int, status: int
) -> None:
    whole = await client.post("/size", content=b'"' + b"a" * (size - 2) + b'"', headers=_JSON)
    pieces = await client.post("/size", content=_pieces(size), headers=_JSON)
    for answer in (whole, pieces):
        assert answer.status_code == status
        if status == 413:
            assert answer.json()["code"] == "too-large"
            assert answer.headers["Connection"] == "close"
            assert "100 bytes" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 99, b""])
async def test_a_body_that_is_no_json_is_not_valid(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/size", content=body, headers=_JSON)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_bug_is_a_problem_document_that_gives_nothing_away(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "bug"
    assert "nobody" not in answer.text
