import tracemalloc
from contextlib import suppress

import aiohttp
import pytest

from aichat_workspace.openwebui.client import MAX_REPLY_BYTES, OpenWebUIClient, Reply, Session
from aichat_workspace.openwebui.errors import (
    NotAdministratorError,
    OpenWebUIError,
    OpenWebUIUnreachableError,
    SignInRefusedError,
)
from tests.contracts.openwebui import check_accounts, check_contract
from tests.fakes.openwebui import EMAIL, PASSWORD, FakeOpenWebUI


def replies(status: int, body: bytes) -> FakeOpenWebUI:
    return FakeOpenWebUI(fail=lambda _: Reply(status, body))


async def test_the_fake_passes_the_contract_of_the_real_one() -> None:
    await check_contract(OpenWebUIClient(FakeOpenWebUI()), EMAIL, PASSWORD)
    await check_accounts(OpenWebUIClient(FakeOpenWebUI()), EMAIL, PASSWORD)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b'{"detail":"This account is not allowed"}'),
        (401, b"no"),
        (200, b'{"mfa_required":true,"token":null}'),
        (200, b"[]"),
    ],
)
async def test_without_a_session_the_sign_in_is_refused(status: int, body: bytes) -> None:
    with pytest.raises(SignInRefusedError):
        await OpenWebUIClient(replies(status, body)).sign_in(EMAIL, PASSWORD)


@pytest.mark.parametrize("status", [429, 500])
async def test_a_failed_sign_in_is_not_a_refused_one(status: int) -> None:
    with pytest.raises(OpenWebUIError, match="later") as raised:
        await OpenWebUIClient(replies(status, b'{"detail":"later"}')).sign_in(EMAIL, PASSWORD)
    assert type(raised.value) is OpenWebUIError


@pytest.mark.parametrize("status", [401, 403])
async def test_an_account_that_may_not_list_entries_is_no_administrator(status: int) -> None:
    with pytest.raises(NotAdministratorError):
        await Session(replies(status, b"{}"), "t").entries(["m"])


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b'[{"name":"no id"}]',
        b"[1]",
        b'[{"id":"m","meta":[1],"params":{}}]',
        b'[{"id":"m","meta":{},"params":"native"}]',
    ],
    ids=["no JSON", "no list", "no id", "no entries", "no meta", "no params"],
)
async def test_an_unexpected_reply_is_an_error(body: bytes) -> None:
    with pytest.raises(OpenWebUIError):
        await Session(replies(200, body), "t").entries(["m"])


async def test_an_endless_reply_is_an_error() -> None:
    with pytest.raises(OpenWebUIError, match="endless"):
        await OpenWebUIClient(replies(200, b" " * (MAX_REPLY_BYTES + 1))).sign_in(EMAIL, PASSWORD)


async def test_a_single_entry_is_read_or_an_error() -> None:
    endless = Reply(200, b" " * (MAX_REPLY_BYTES + 1))
    server = FakeOpenWebUI(
        fail=lambda request: endless if request.endswith("/base") else Reply(200, b'{"id":1}')
    )
    with pytest.raises(OpenWebUIError, match="a model's settings"):
        await Session(server, "t").entries(["m"])
    assert await Session(server, "t").entries([]) == ()


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_an_absent_server_behind_a_proxy_is_unreachable(status: int) -> None:
    with pytest.raises(OpenWebUIUnreachableError):
        await Session(replies(status, b""), "t").entries(["m"])


@pytest.mark.parametrize(
    "fault", [TimeoutError(), aiohttp.ServerDisconnectedError(), ConnectionResetError("reset")]
)
async def test_a_fault_of_the_network_is_translated(fault: Exception) -> None:
    def fail(_: str) -> Reply:
        raise fault

    with pytest.raises(OpenWebUIUnreachableError) as raised:
        await OpenWebUIClient(FakeOpenWebUI(fail=fail)).sign_in(EMAIL, PASSWORD)
    assert str(raised.value)


def test_a_session_does_not_show_its_token() -> None:
    assert "hush" not in repr(Session(FakeOpenWebUI(), "hush"))


def test_a_long_error_is_cut() -> None:
    assert len(str(OpenWebUIError("x" * 10_000))) < 1000


def densest(size: int) -> bytes:
    """The JSON of a size that takes the most memory once it is parsed."""
    return b"[" + b",".join([b'{"":[]}'] * (size // 8)) + b"]"


@pytest.mark.parametrize("status", [200, 400, 500, 503])
@pytest.mark.parametrize("size", [MAX_REPLY_BYTES, MAX_REPLY_BYTES * 2])
async def test_no_reply_takes_much_memory(status: int, size: int) -> None:
    server = replies(status, densest(size))
    tracemalloc.start()
    try:
        with pytest.raises(OpenWebUIError):
            await OpenWebUIClient(server).sign_in(EMAIL, PASSWORD)
        with suppress(OpenWebUIError):
            await Session(server, "t").entries(["m"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 2**20, f"parsing {size} bytes took {peak}"


NOBODY: dict[str, int] = {}


@pytest.mark.parametrize(
    ("last_active", "own_chats", "expected"),
    [
        (NOBODY, [], None),
        ({"ann@example.org": 50, "bo@example.org": 70}, [], 70),
        ({"ann@example.org": 50}, [60, 40], 60),
        ({"ann@example.org": 90}, [60], 90),
        (NOBODY, [60], 60),
    ],
)
async def test_the_last_activity_is_anybodys_but_the_operators_own_requests(
    last_active: dict[str, int], own_chats: list[int], expected: int | None
) -> None:
    chat = FakeOpenWebUI(last_active=dict(last_active), own_chats=own_chats)
    session = await OpenWebUIClient(chat).sign_in(EMAIL, PASSWORD)
    for _ in range(2):
        assert await session.last_activity(EMAIL) == expected
    assert EMAIL in chat.last_active


@pytest.mark.parametrize(
    ("users", "chats", "expected"),
    [
        (b'{"users":[{"email":"a@b.c","last_active_at":null},1,{"email":"b@b.c"}]}', b"[]", None),
        (b'{"users":[{"last_active_at":7}]}', b'[{"updated_at":"x"},{"updated_at":-5}]', 7),
        (b'{"users":[]}', b"[1]", None),
    ],
)
async def test_a_hostile_chat_has_no_time_that_is_none(
    users: bytes, chats: bytes, expected: int | None
) -> None:
    bodies = {"GET /api/v1/users/search": users, "GET /api/v1/chats/list": chats}
    chat = FakeOpenWebUI(fail=lambda request: Reply(200, bodies[request]))
    assert await Session(chat, "t").last_activity(EMAIL) == expected


@pytest.mark.parametrize("refused", ["users/search", "chats/list"])
async def test_a_list_of_people_or_chats_that_is_none_is_an_error(refused: str) -> None:
    chat = FakeOpenWebUI(
        fail=lambda request: Reply(200, b'"no"' if refused in request else b'{"users":[]}')
    )
    with pytest.raises(OpenWebUIError, match="as Open WebUI does not"):
        await Session(chat, "t").last_activity(EMAIL)


async def test_an_account_that_may_not_see_people_is_no_administrator() -> None:
    with pytest.raises(NotAdministratorError):
        await Session(replies(401, b"{}"), "t").last_activity(EMAIL)
