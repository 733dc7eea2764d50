"""Bodies of which no more is read than their reader takes."""

from collections.abc import AsyncIterator, Callable


async def read_bounded(
    chunks: AsyncIterator[bytes], max_bytes: int, on_bytes: Callable[[int], object] = int
) -> bytes:
    """Return the whole body; of one that is larger than the limit, a part that is, too.

    `on_bytes` is called with the size of each chunk; what it raises ends the reading.
    """
    body = bytearray()
    async for chunk in chunks:
        on_bytes(len(chunk))
        body += chunk
        if len(body) > max_bytes:
            break
    return bytes(body)
