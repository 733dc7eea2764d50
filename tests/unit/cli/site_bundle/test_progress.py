"""Progress of a load: lines in a log, a bar on a terminal."""

import io

from aichat_workspace.cli.site_bundle.progress import LogLines, progress
from aichat_workspace.cli.terminal import Terminal


def test_a_log_gets_a_line_at_the_end_and_one_in_ten_seconds() -> None:
    out, now = io.StringIO(), [0.0]
    lines = LogLines(Terminal(out, None, has_colour=False), lambda: now[0])
    lines.begin("mirror.example.org/a:1", 4 << 20)
    for seconds in (5.0, 10.0, 12.0):
        now[0] = seconds
        lines.advance(1 << 20)
    lines.end(3 << 20)
    assert out.getvalue().splitlines() == [
        "mirror.example.org/a:1: 2.0 MiB of 4.0 MiB",
        "mirror.example.org/a:1: pushed 3.0 MiB",
    ]


def test_a_terminal_gets_bars() -> None:
    out = io.StringIO()
    with progress(Terminal(out, 100, has_colour=False)) as show:
        show.begin("mirror.example.org/a:1", 4 << 20)
        show.advance(4 << 20)
        show.end(0)
    assert "mirror.example.org/a:1" in out.getvalue()
    assert "was there" in out.getvalue()
