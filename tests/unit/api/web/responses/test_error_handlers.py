import json

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from aichat_workspace.api.web.responses.error_handlers import ErrorMiddleware

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/api/v1/me", "headers": []}


async def nothing() -> Message:
    return {"type": "http.disconnect"}


async def answer(error: Exception) -> tuple[list[Message], list[str]]:
    """Return what is sent, and the events of the log, when the application raises the error."""
    sent: list[Message] = []

    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise error

    async def send(message: Message) -> None:
        sent.append(message)

    with capture_logs() as logs:
        await ErrorMiddleware(app)(SCOPE, nothing, send)
    return sent, [log["event"] for log in logs]


async def test_a_bug_is_logged_and_answered() -> None:
    sent, events = await answer(RuntimeError("unexpected detail"))
    assert (sent[0]["status"], events) == (500, ["request crashed"])
    assert json.loads(sent[1]["body"])["code"] == "bug"


async def test_a_caller_that_is_gone_is_no_bug() -> None:
    """However many of them there are, they fill no log."""
    assert await answer(ClientDisconnect()) == ([], [])


async def test_an_error_in_the_middle_of_a_response_breaks_the_connection() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    async def send(_: Message) -> None:
        pass

    with capture_logs(), pytest.raises(RuntimeError):
        await ErrorMiddleware(app)(SCOPE, nothing, send)
