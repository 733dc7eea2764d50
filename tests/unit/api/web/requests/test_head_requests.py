import httpx2
import pytest
from fastapi import FastAPI

from aichat_workspace.api.web.requests.head_requests import HeadMiddleware


@pytest.fixture
def client() -> httpx2.AsyncClient:
    app = FastAPI()

    @app.get("/item")
    async def item() -> dict[str, int]:
        return {"item": 1}

    @app.get("/all:watch")
    async def watch() -> str:
        return "endless"

    app.add_middleware(HeadMiddleware)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test")


async def test_a_head_is_a_get_without_its_body(client: httpx2.AsyncClient) -> None:
    whole, head = await client.get("/item"), await client.head("/item")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == whole.headers


async def test_head_of_a_stream_is_405(client: httpx2.AsyncClient) -> None:
    assert (await client.head("/all:watch")).status_code == 405
