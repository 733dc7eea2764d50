import httpx2
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.web.responses.response_cookies import (
    ResponseCookiesMiddleware,
    response_cookies,
)


async def test_cookies_are_added_to_the_applications_own() -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        response_cookies(Request(scope)).set_cookie("first", "1")
        response_cookies(Request(scope)).set_cookie("second", "2")
        response = Response("text", 418)
        response.set_cookie("own", "3")
        await response(scope, receive, send)

    transport = httpx2.ASGITransport(ResponseCookiesMiddleware(application))
    async with httpx2.AsyncClient(transport=transport, base_url="http://a.test") as client:
        response = await client.get("/")
        assert (response.status_code, response.text) == (418, "text")
        assert response.headers.get_list("content-length") == ["4"]
        assert dict(client.cookies) == {"first": "1", "second": "2", "own": "3"}
