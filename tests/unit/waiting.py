"""Waiting that a slow machine only makes longer."""

import asyncio
from collections.abc import Callable


async def turns(count: int = 50) -> None:
    """Let the event loop turn: enough for all that waits for no time to pass."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  (there is no event to wait for)
            await asyncio.sleep(0.005)
