"""How much of a body is read."""

from collections.abc import AsyncIterator

import pytest

from aichat_workspace.foundation.bounded_bytes import read_bounded


@pytest.mark.parametrize("max_bytes", [9, 6])
async def test_a_body_within_the_limit_is_read_whole(max_bytes: int) -> None:
    assert await read_bounded(_chunks([b"abc", b"def"]), max_bytes) == b"abcdef"


async def test_of_a_larger_one_no_more_is_read_than_shows_it() -> None:
    pieces = [b"abc", b"def", b"ghi"]
    assert await read_bounded(_chunks(pieces), 5) == b"abcdef"
    assert pieces == [b"ghi"]


async def _chunks(pieces: list[bytes]) -> AsyncIterator[bytes]:
    while pieces:
        yield pieces.pop(0)
