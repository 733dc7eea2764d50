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


def at(seconds: float, key: bytes = KEY) -> Signer:
    return Signer(key, lambda: seconds)


def test_what_is_sealed_opens_with_the_time_of_its_sealing() -> None:
    opened = at(1_500).verify("a", at(1_000).sign("a", "text.with.dots"), 600)
    assert opened is not None
    assert (opened.text, opened.signed_at) == ("text.with.dots", 1_000)


@pytest.mark.parametrize("seconds", [1_600, 9_999, 900])
def test_it_does_not_open_too_late_or_before_its_time(seconds: float) -> None:
    assert at(seconds).verify("a", at(1_000).sign("a", "text"), 600) is None


def test_a_replica_whose_clock_is_a_little_behind_opens_it() -> None:
    assert at(990).verify("a", at(1_000).sign("a", "text"), 600) is not None


@pytest.mark.parametrize("text", ["", "text", "a.b.c", "é.x.y"])
def test_what_was_not_sealed_does_not_open(text: str) -> None:
    assert at(1_000).verify("a", text, 600) is None


def test_another_key_another_purpose_or_a_changed_letter_does_not_open() -> None:
    sealed = at(1_000).sign("a", "text")
    assert at(1_000, b"o" * 32).verify("a", sealed, 600) is None
    assert at(1_000).verify("b", sealed, 600) is None
    assert at(1_000).verify("a", sealed.replace("text", "tex7"), 600) is None


def test_a_mark_belongs_to_its_key_purpose_and_text() -> None:
    marks = {
        at(1, key).mac(purpose, text)
        for key in (KEY, b"o" * 32)
        for purpose in "ab"
        for text in "xy"
    }
    assert len(marks) == 8
    assert at(2).mac("a", "x") == at(1).mac("a", "x")


class Cluster:
    """An API server that has one Secret, or says why not."""

    def __init__(self) -> None:
        self.status = 200
        self.body: dict[str, Any] = session_key.manifest()
        self.asked = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response(self.body, status=self.status)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", cluster.answer)
    async with TestServer(app) as server:
        configuration = Configuration()
        configuration.host = str(server.make_url("")).rstrip("/")
        async with Client(configuration, user_agent="test") as found:
            yield found


async def test_the_key_is_the_one_that_the_operator_made_and_is_read_once(
    cluster: Cluster, client: Client
) -> None:
    keys = Keys(client, dev=False)
    sealed = (await keys.signer()).sign("a", "text")
    made = Signer(base64.b64decode(cluster.body["data"]["key"]))
    assert made.verify("a", sealed, 60) is not None
    await keys.signer()
    assert cluster.asked == 1


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (404, "NotFound", "is missing. The operator makes it"),
        (403, "Forbidden", "may not be read"),
    ],
)
async def test_without_its_key_a_cluster_says_what_is_wrong_and_a_laptop_makes_one(
    cluster: Cluster, client: Client, status: int, reason: str, told: str
) -> None:
    cluster.status, cluster.body = status, {"reason": reason, "message": "no"}
    with pytest.raises(ProblemError) as raised:
        await Keys(client, dev=False).signer()
    assert raised.value.status == 503
    assert told in raised.value.detail
    laptop = Keys(client, dev=True)
    assert (await laptop.signer()).key == (await laptop.signer()).key
    assert (await laptop.signer()).key != (await Keys(client, dev=True).signer()).key


async def test_a_key_that_was_emptied_is_no_key(cluster: Cluster, client: Client) -> None:
    cluster.body = {**cluster.body, "data": {"key": base64.b64encode(b"short").decode()}}
    with pytest.raises(ProblemError) as raised:
        await Keys(client, dev=True).signer()
    assert "Delete it" in raised.value.detail


async def test_a_key_that_was_missing_is_found_as_soon_as_it_is_there(
    cluster: Cluster, client: Client
) -> None:
    whole = cluster.body
    cluster.status, cluster.body = 404, {"reason": "NotFound"}
    keys = Keys(client, dev=False)
    with pytest.raises(ProblemError):
        await keys.signer()
    cluster.status, cluster.body = 200, whole
    assert await keys.signer()
