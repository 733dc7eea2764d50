"""Streams of lines, and of JSON documents, one per line."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson


class LineTooLongError(Exception):
    """A line is longer than the reader's limit."""


async def read_lines(
    chunks: AsyncIterator[bytes], *, max_line_bytes: int | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield each line without its end, however the stream is cut; skip blank lines.

    The last line may lack its end. Raises LineTooLongError.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if max_line_bytes is not None and len(rest) > max_line_bytes:
            raise LineTooLongError(f"more than {max_line_bytes} bytes")
        for line in lines:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


async def read_json_lines(
    chunks: AsyncIterator[bytes], *, max_line_bytes: int | None = None
) -> AsyncIterator[Any]:
    """Yield the document of each line, however the stream is cut; skip blank lines.

    The last line may lack its end. Raises LineTooLongError, and orjson.JSONDecodeError for a line
    that is no JSON, as one that was torn.
    """
    async for line in read_lines(chunks, max_line_bytes=max_line_bytes):
        yield orjson.loads(line)
