"""Which errors of the event loop are told."""

import asyncio
from typing import Any

import pytest

from aichat_workspace.runtime.event_loop import log_loop_errors

MESSAGE = "Fatal error on SSL protocol\nprotocol: <SSLProtocol object>"
CLOSED = RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")


@pytest.mark.parametrize(
    ("context", "is_logged"),
    [
        ({"message": MESSAGE, "exception": CLOSED}, False),
        ({"message": MESSAGE, "exception": RuntimeError("another")}, True),
        ({"message": "Task exception was never retrieved", "exception": CLOSED}, True),
        ({"message": "Unclosed connection"}, True),
    ],
)
async def test_a_connection_that_we_closed_ourselves_is_no_error(
    context: dict[str, Any], is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    log_loop_errors(asyncio.get_running_loop(), context)
    assert bool(caplog.records) is is_logged
