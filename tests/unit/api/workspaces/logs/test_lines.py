"""Lines of a log and their times, to the nanosecond."""

from collections.abc import AsyncIterator

import pytest

from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.logs.lines import LogLine, Moment, read_log_lines


async def cut(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def test_moments_are_compared_to_the_nanosecond_and_across_zones() -> None:
    earlier = Moment.parse("2026-11-24T09:00:00.000000001Z")
    assert earlier < Moment.parse("2026-11-24T09:00:00.000000002Z")
    assert earlier == Moment.parse("2026-11-24T10:00:00.000000001+01:00")
    assert Moment.parse("2026-11-24T09:00:00.5Z") == Moment(earlier.seconds, 500_000_000)
    assert Moment.parse("2026-11-24T09:00:00Z").in_whole_seconds() == "2026-11-24T09:00:00Z"


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-24", "2026-11-24T09:00:00", "2026-13-40T09:00:00Z"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        Moment.parse(text)


async def test_lines_after_a_moment_are_read_and_the_kubelets_own_are_kept() -> None:
    log = b"2026-11-24T09:00:00.1Z one\n2026-11-24T09:00:00.2Z two  words\nlost the log\n\xff x\n"
    lines = read_log_lines(cut(log[:30], log[30:]), Moment.parse("2026-11-24T09:00:00.1Z"))
    assert [line async for line in lines] == [
        LogLine("2026-11-24T09:00:00.2Z", b"two  words"),
        LogLine("", b"lost the log"),
        LogLine("", b"\xff x"),
    ]


async def test_an_endless_line_is_a_problem() -> None:
    with pytest.raises(ProblemError, match="1048576 bytes"):
        await anext(read_log_lines(cut(b"x" * (1024 * 1024 + 1)), None))
