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
    ("code", "level", "said"),
    [
        ("structlog.get_logger().info('started', workspaces=3)", "info", "started"),
        ("logging.getLogger('asyncio').error('Task %s', 'lost')", "error", "Task lost"),
        ("warnings.warn('old')", "warning", "UserWarning: old"),
        ("raise ValueError('a bug')", "critical", "crashed"),
    ],
)
def test_every_line_is_json_whoever_writes_it(code: str, level: str, said: str) -> None:
    (line,) = (json.loads(each) for each in lines(code))
    assert line["level"] == level
    assert said in line["event"]
    assert line["timestamp"]


def test_what_libraries_tell_only_developers_is_left_out() -> None:
    code = "logging.getLogger('aiohttp').info('chatter')"
    assert lines(code) == []
