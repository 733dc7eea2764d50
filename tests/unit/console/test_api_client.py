import itertools

from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from aichat_workspace.console.api_client import ApiClient

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/new", "headers": []}


async def gone() -> Message:
    return {"type": "http.disconnect"}


async def test_each_cookie_is_set_once_on_a_page_as_the_last_answer_has_it() -> None:
    """Every call brings the browser's own cookies, so each answer may renew the session."""
    numbers = itertools.count(1)

    async def api(_: Scope, __: Receive, send: Send) -> None:
        cookie = b"session=%d; Path=/; HttpOnly" % next(numbers)
        headers = [(b"set-cookie", cookie), (b"set-cookie", b"other=x")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    client = ApiClient(api, Request(SCOPE, gone))
    for _ in range(3):
        await client.get("/api/v1/session")
    assert client.cookies == ["session=3; Path=/; HttpOnly", "other=x"]


async def test_a_read_that_a_change_needs_does_not_hear_that_the_browser_has_gone() -> None:
    heard: list[str] = []

    async def api(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])
        if scope["method"] == "POST":
            heard.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client = ApiClient(api, Request(SCOPE, gone))
    await client.get("/api/v1/session")
    await client.call("POST", "/api/v1/workspaces/a:prompt", body={})
    assert heard == ["http.request", "http.request", "http.disconnect"]
