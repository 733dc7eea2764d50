import httpx2
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.web.requests.own_site import OwnSiteMiddleware, is_own_site

PUBLIC_URL = "https://aichat.example.org"
VISIT = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers", "is_own"),
    [
        ("POST", {}, True),
        ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {"Sec-Fetch-Site": "none"}, True),
        ("POST", {"Sec-Fetch-Site": "same-site"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": PUBLIC_URL}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site", **VISIT}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site", **VISIT}, True),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site", **VISIT, "Sec-Fetch-Dest": "iframe"}, False),
        ("POST", {"Origin": PUBLIC_URL}, True),
        ("POST", {"Origin": "http://localhost:8090", "Host": "localhost:8090"}, True),
        ("POST", {"Origin": "https://team-a.example.org", "Host": "api"}, False),
        ("POST", {"Origin": f"{PUBLIC_URL}.evil.test", "Host": "api"}, False),
        ("POST", {"Origin": "null", "Host": "api"}, False),
        ("POST", {"Origin": "https://[", "Host": "api"}, False),
    ],
)
def test_only_own_pages_and_followed_links_are_of_this_site(
    method: str, headers: dict[str, str], is_own: bool
) -> None:
    assert is_own_site(method, headers, PUBLIC_URL) is is_own


async def status_of(method: str, headers: dict[str, str]) -> int:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("reached")(scope, receive, send)

    middleware = OwnSiteMiddleware(application, PUBLIC_URL)
    transport = httpx2.ASGITransport(middleware)
    async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        return (await client.request(method, "/", headers=headers)).status_code


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "MERGE"])
async def test_a_change_from_another_site_is_refused_whatever_the_credential(method: str) -> None:
    for credential in ({}, {"Authorization": "Bearer x"}, {"Cookie": "a=b"}):
        assert await status_of(method, {**credential, "Sec-Fetch-Site": "cross-site"}) == 403
        assert await status_of(method, {**credential, "Origin": "https://evil.test"}) == 403
        assert await status_of(method, {**credential, "Sec-Fetch-Site": "same-origin"}) == 200
        assert await status_of(method, credential) == 200, "programs send neither header"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_what_changes_nothing_reaches_the_application(method: str) -> None:
    assert await status_of(method, {"Sec-Fetch-Site": "cross-site"}) == 200
