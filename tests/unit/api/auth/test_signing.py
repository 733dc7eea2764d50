import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from aichat_workspace.api.auth.signing import Keys, Signer
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.kube.client import Client
from aichat_workspace.operator import session_key

KEY = b"k" * 32


def signer_at(seconds: float, key: bytes = KEY) -> Signer:
    return Signer(key, lambda: seconds)


def test_a_verified_value_has_the_time_of_its_signature() -> None:
    value = signer_at(1_500).verify("a", signer_at(1_000).sign("a", "text.with.dots"), 600)
    assert value is not None
    assert (value.text, value.signed_at) == ("text.with.dots", 1_000)


@pytest.mark.parametrize("seconds", [1_600, 9_999, 900])
def test_an_expired_or_future_signature_is_refused(seconds: float) -> None:
    assert signer_at(seconds).verify("a", signer_at(1_000).sign("a", "text"), 600) is None


def test_a_signature_is_accepted_by_a_replica_whose_clock_is_behind() -> None:
    assert signer_at(990).verify("a", signer_at(1_000).sign("a", "text"), 600) is not None


@pytest.mark.parametrize("text", ["", "text", "a.b.c", "é.x.y"])
def test_a_text_without_a_signature_is_refused(text: str) -> None:
    assert signer_at(1_000).verify("a", text, 600) is None


def test_a_signature_is_refused_for_another_key_purpose_or_text() -> None:
    signed = signer_at(1_000).sign("a", "text")
    assert signer_at(1_000, b"o" * 32).verify("a", signed, 600) is None
    assert signer_at(1_000).verify("b", signed, 600) is None
    assert signer_at(1_000).verify("a", signed.replace("text", "tex7"), 600) is None


def test_a_mac_depends_on_key_purpose_and_text() -> None:
    macs = {
        signer_at(1, key).mac(purpose, text)
        for key in (KEY, b"o" * 32)
        for purpose in "ab"
        for text in "xy"
    }
    assert len(macs) == 8
    assert signer_at(2).mac("a", "x") == signer_at(1).mac("a", "x")


class FakeApiServer:
    """An API server that has one Secret, or says why not."""

    def __init__(self) -> None:
        self.status = 200
        self.body: dict[str, Any] = session_key.manifest()
        self.requests = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.requests += 1
        return web.json_response(self.body, status=self.status)


@pytest.fixture
def api_server() -> FakeApiServer:
    return FakeApiServer()


@pytest.fixture
async def client(api_server: FakeApiServer) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", api_server.answer)
    async with TestServer(app) as server:
        configuration = Configuration()
        configuration.host = str(server.make_url("")).rstrip("/")
        async with Client(configuration, user_agent="test") as client:
            yield client


async def test_the_operators_key_is_read_once(api_server: FakeApiServer, client: Client) -> None:
    keys = Keys(client, dev=False)
    signed = (await keys.signer()).sign("a", "text")
    signer = Signer(base64.b64decode(api_server.body["data"]["key"]))
    assert signer.verify("a", signed, 60) is not None
    await keys.signer()
    assert api_server.requests == 1


@pytest.mark.parametrize(
    ("status", "reason", "detail"),
    [
        (404, "NotFound", "is missing. The operator makes it"),
        (403, "Forbidden", "may not be read"),
    ],
)
async def test_a_missing_key_is_503_in_a_cluster_and_generated_on_a_laptop(
    api_server: FakeApiServer, client: Client, status: int, reason: str, detail: str
) -> None:
    api_server.status, api_server.body = status, {"reason": reason, "message": "no"}
    with pytest.raises(ProblemError) as raised:
        await Keys(client, dev=False).signer()
    assert raised.value.status == 503
    assert detail in raised.value.detail
    laptop = Keys(client, dev=True)
    assert (await laptop.signer()).key == (await laptop.signer()).key
    assert (await laptop.signer()).key != (await Keys(client, dev=True).signer()).key


async def test_a_key_that_is_too_short_is_refused(
    api_server: FakeApiServer, client: Client
) -> None:
    api_server.body = {**api_server.body, "data": {"key": base64.b64encode(b"short").decode()}}
    with pytest.raises(ProblemError) as raised:
        await Keys(client, dev=True).signer()
    assert "Delete it" in raised.value.detail


async def test_a_missing_key_is_read_again_by_the_next_request(
    api_server: FakeApiServer, client: Client
) -> None:
    whole = api_server.body
    api_server.status, api_server.body = 404, {"reason": "NotFound"}
    keys = Keys(client, dev=False)
    with pytest.raises(ProblemError):
        await keys.signer()
    api_server.status, api_server.body = 200, whole
    assert await keys.signer()
