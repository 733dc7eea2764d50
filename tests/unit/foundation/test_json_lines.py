from collections.abc import AsyncIterator

import orjson
import pytest

from aichat_workspace.foundation.json_lines import LineTooLongError, read_json_lines


async def cut(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param((b'{"a":1}\n{"b":2}\n',), id="one chunk"),
        pytest.param((b'{"a"', b':1}\n{"b":', b"2}\n"), id="cut within lines"),
        pytest.param((b'{"a":1}\n\n \n', b'{"b":2}'), id="blank lines and no last end"),
    ],
)
async def test_lines_are_read_however_the_stream_is_cut(chunks: tuple[bytes, ...]) -> None:
    documents = [document async for document in read_json_lines(cut(*chunks))]
    assert documents == [{"a": 1}, {"b": 2}]


async def test_a_torn_last_line_is_an_error_after_the_whole_ones() -> None:
    lines = read_json_lines(cut(b'{"a":1}\n{"b":'))
    assert await anext(lines) == {"a": 1}
    with pytest.raises(orjson.JSONDecodeError):
        await anext(lines)


async def test_a_line_above_the_limit_is_an_error() -> None:
    with pytest.raises(LineTooLongError):
        await anext(read_json_lines(cut(b'{"a":', b'"long"'), max_line_bytes=8))
    assert await anext(read_json_lines(cut(b'{"a":1}\n'), max_line_bytes=8)) == {"a": 1}
