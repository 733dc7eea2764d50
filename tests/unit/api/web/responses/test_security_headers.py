"""Every response has the headers; a route may have its own."""

import httpx2
import pytest
from fastapi import FastAPI, Response

from aichat_workspace.api.web.responses.security_headers import SecurityHeadersMiddleware


def client(*, https: bool) -> httpx2.AsyncClient:
    app = FastAPI()

    @app.get("/page")
    async def page() -> Response:
        return Response(headers={"Content-Security-Policy": "default-src 'self'"})

    app.add_middleware(SecurityHeadersMiddleware, https=https)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api")


@pytest.mark.parametrize("https", [True, False])
async def test_browsers_are_told_to_use_tls_only_where_there_is_tls(https: bool) -> None:
    response = await client(https=https).get("/nothing")
    assert ("Strict-Transport-Security" in response.headers) is https
    assert response.headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")
    assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_a_routes_own_header_stays() -> None:
    response = await client(https=True).get("/page")
    assert response.headers["Content-Security-Policy"] == "default-src 'self'"
