import base64
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aichat_workspace.api.auth.sessions.encryption import Cipher, Keys
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.connection import Connection
from aichat_workspace.operator.records import session_key

CIPHER = Cipher(b"k" * 32)


def test_an_encrypted_value_can_be_decrypted_and_not_be_read() -> None:
    text = CIPHER.encrypt("a", b"value with spaces, and more")
    assert CIPHER.decrypt("a", text) == b"value with spaces, and more"
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text), "cookies take it as it is"
    assert b"value" not in base64.urlsafe_b64decode(text + "==")


def test_no_two_encryptions_of_a_value_are_alike() -> None:
    assert len({CIPHER.encrypt("a", b"value") for _ in range(100)}) == 100


@pytest.mark.parametrize("text", ["", "text", "a.b.c", "\u00e9", "A" * 15, "A" * 100])
def test_a_text_that_was_not_encrypted_here_is_refused(text: str) -> None:
    assert CIPHER.decrypt("a", text) is None


def test_a_value_can_not_be_decrypted_with_another_key_or_for_another_purpose() -> None:
    text = CIPHER.encrypt("a", b"value")
    assert Cipher(b"o" * 32).decrypt("a", text) is None
    assert CIPHER.decrypt("b", text) is None


def test_a_value_of_which_any_character_was_changed_is_refused() -> None:
    text = CIPHER.encrypt("a", b"value")  # a whole number of bytes in each four characters
    assert len(text) * 3 % 4 == 0
    for index, character in enumerate(text):
        changed = "A" if character != "A" else "B"
        assert CIPHER.decrypt("a", f"{text[:index]}{changed}{text[index + 1 :]}") is None


def test_a_mac_depends_on_key_purpose_and_text() -> None:
    macs = {
        Cipher(key).mac(purpose, text)
        for key in (b"k" * 32, b"o" * 32)
        for purpose in "ab"
        for text in "xy"
    }
    assert len(macs) == 8
    assert CIPHER.mac("a", "x") == CIPHER.mac("a", "x")


def test_a_cipher_does_not_show_its_key() -> None:
    assert "kkk" not in repr(CIPHER)


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
        connection = Connection(str(server.make_url("")).rstrip("/"))
        async with Client(connection, user_agent="test") as client:
            yield client


async def test_the_operators_key_is_read_once(api_server: FakeApiServer, client: Client) -> None:
    keys = Keys(client, dev=False)
    text = (await keys.cipher()).encrypt("a", b"value")
    cipher = Cipher(base64.b64decode(api_server.body["data"]["key"]))
    assert cipher.decrypt("a", text) == b"value"
    await keys.cipher()
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
        await Keys(client, dev=False).cipher()
    assert raised.value.status == 503
    assert detail in raised.value.detail
    laptop = Keys(client, dev=True)
    assert (await laptop.cipher()).key == (await laptop.cipher()).key
    assert (await laptop.cipher()).key != (await Keys(client, dev=True).cipher()).key


async def test_a_key_that_is_too_short_is_refused(
    api_server: FakeApiServer, client: Client
) -> None:
    api_server.body = {**api_server.body, "data": {"key": base64.b64encode(b"short").decode()}}
    with pytest.raises(ProblemError) as raised:
        await Keys(client, dev=True).cipher()
    assert "Delete it" in raised.value.detail


async def test_a_missing_key_is_read_again_by_the_next_request(
    api_server: FakeApiServer, client: Client
) -> None:
    whole = api_server.body
    api_server.status, api_server.body = 404, {"reason": "NotFound"}
    keys = Keys(client, dev=False)
    with pytest.raises(ProblemError):
        await keys.cipher()
    api_server.status, api_server.body = 200, whole
    assert await keys.cipher()
