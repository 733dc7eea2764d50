"""The lines of a log with their times, so that a log can go on where it broke off.

The API server passes the beginning of a log to the kubelet in whole seconds, so some lines would
come twice: https://github.com/kubernetes/kubernetes/blob/master/pkg/registry/core/pod/strategy.go
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.foundation.json_lines import LineTooLongError, read_lines

_PARTS: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})", re.ASCII
)
_MAX_LINE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A moment to the nanosecond."""

    seconds: int
    """Whole seconds since 1970."""
    nanoseconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read RFC 3339. Raises ValueError."""
        parts = _PARTS.fullmatch(text)
        try:
            whole = datetime.fromisoformat(parts[1] + parts[3]) if parts else None
        except ValueError:
            whole = None
        if parts is None or whole is None:
            raise ValueError(f"{text!r} is no moment; write it as 2026-11-24T09:00:00.123456789Z")
        return cls(int(whole.timestamp()), int((parts[2] or "").ljust(9, "0")))

    def in_whole_seconds(self) -> str:
        """Return the second that it is in, for the API server."""
        moment = datetime.fromtimestamp(self.seconds, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a log."""

    time: str
    """When it was written; empty for a line that the kubelet itself adds."""
    text: bytes


async def read_log_lines(
    chunks: AsyncIterator[bytes], since: Moment | None
) -> AsyncGenerator[LogLine, None]:
    """Yield the lines of a log with timestamps, and only those after `since`.

    Raises ProblemError (502) for a line of more than a mebibyte.
    """
    try:
        async for line in read_lines(chunks, max_line_bytes=_MAX_LINE_BYTES):
            time, _, text = line.partition(b" ")
            moment = _moment(time)
            if moment is None:
                yield LogLine("", line)
            elif since is None or moment > since:
                yield LogLine(time.decode(), text)
    except LineTooLongError as error:
        raise ProblemError(502, "log-line-too-long", f"A line has {error}.") from None


def _moment(time: bytes) -> Moment | None:
    try:
        return Moment.parse(time.decode())
    except ValueError:  # also what is no UTF-8
        return None
