"""What holds secrets is never compressed."""

import httpx2
import pytest
from fastapi import FastAPI, Response

from aichat_workspace.api.web.responses.compression import CompressionMiddleware


@pytest.mark.parametrize(
    ("path", "is_compressed"),
    [
        ("/api/v1/workspaces", True),
        ("/openapi.json", True),
        ("/api/v1/session", False),
        ("/api/v1/workspaces/a/credentials", False),
        ("/api/v1/workspaces:watch", False),
    ],
)
async def test_lists_and_the_document_are_compressed(path: str, is_compressed: bool) -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/{path:path}")
    async def text(size: int) -> Response:
        return Response("a" * size)

    app.add_middleware(CompressionMiddleware)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        large = await client.get(f"{path}?size=10000", headers={"Accept-Encoding": "gzip"})
        small = await client.get(f"{path}?size=10", headers={"Accept-Encoding": "gzip"})
    assert (large.headers.get("Content-Encoding") == "gzip") is is_compressed
    assert "Content-Encoding" not in small.headers
