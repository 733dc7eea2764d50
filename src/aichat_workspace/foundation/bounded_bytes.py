"""Bodies of which no more is read than their reader takes."""

from collections.abc import AsyncIterator


async def read_bounded(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    """Return the whole body; of one that is larger than the limit, a part that is, too."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            break
    return bytes(body)
