import json
import subprocess
import sys

import pytest

HEAD = """
import asyncio, logging, warnings, structlog
from aichat_workspace.runtime.logs import log_as_json
log_as_json()
"""


def lines(code: str) -> list[str]:
    command = [sys.executable, "-c", HEAD + code]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return ran.stderr.splitlines()


@pytest.mark.parametrize(
    ("code", "level", "message"),
    [
        ("structlog.get_logger().info('started', workspaces=3)", "info", "started"),
        ("logging.getLogger('asyncio').error('Task %s', 'lost')", "error", "Task lost"),
        ("warnings.warn('old')", "warning", "UserWarning: old"),
        ("raise ValueError('a bug')", "critical", "crashed"),
    ],
)
def test_every_line_is_json(code: str, level: str, message: str) -> None:
    (line,) = (json.loads(text) for text in lines(code))
    assert line["level"] == level
    assert message in line["event"]
    assert line["timestamp"]


def test_a_librarys_line_has_the_requests_id_too() -> None:
    bind = "structlog.contextvars.bind_contextvars(request_id='7')"
    both = "structlog.get_logger().info('ours'); logging.getLogger('asyncio').error('theirs')"
    assert [json.loads(text)["request_id"] for text in lines(f"{bind}; {both}")] == ["7", "7"]


def test_libraries_information_is_not_logged() -> None:
    code = "logging.getLogger('aiohttp').info('chatter')"
    assert lines(code) == []
