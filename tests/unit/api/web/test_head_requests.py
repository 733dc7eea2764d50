import httpx2
import pytest
from fastapi import FastAPI

from aichat_workspace.api.web.head_requests import HeadMiddleware


@pytest.fixture
def client() -> httpx2.AsyncClient:
    app = FastAPI()

    @app.get("/one")
    async def one() -> dict[str, int]:
        return {"one": 1}

    @app.get("/all:watch")
    async def watch() -> str:
        return "for ever"

    app.add_middleware(HeadMiddleware)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test")


async def test_a_head_is_a_get_without_its_body(client: httpx2.AsyncClient) -> None:
    whole, head = await client.get("/one"), await client.head("/one")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == whole.headers


async def test_a_head_of_what_goes_on_and_on_is_not_there(client: httpx2.AsyncClient) -> None:
    assert (await client.head("/all:watch")).status_code == 405
