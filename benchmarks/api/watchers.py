"""Run many watchers and time the delivery of each change."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

_MARK: Final = re.compile(rb'"modelsReady":"(\d+)/0"')
_MARK_BYTES: Final = 32
_SYNCED: Final = b"event: synced"


@dataclass(slots=True)
class Watchers:
    """Watchers of marked changes: `begun` is when each was sent, `delays` the time to delivery."""

    session: aiohttp.ClientSession
    begun: dict[int, float] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    synced: int = 0
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def start(self, url: str, headers: Mapping[str, str]) -> None:
        self._tasks.append(asyncio.create_task(self._watch(url, headers)))

    async def wait_synced(self, count: int, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while self.synced < count:
                self._raise()
                await asyncio.sleep(0.02)

    async def wait_delivered(self, count: int, seconds: float) -> None:
        """Wait for so many deliveries, or fewer: of several changes only the last may arrive."""
        deadline = time.monotonic() + seconds
        while len(self.delays) < count and time.monotonic() < deadline:
            self._raise()
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _raise(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()
                raise RuntimeError("a watch has ended")

    async def _watch(self, url: str, headers: Mapping[str, str]) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with self.session.get(url, headers=headers, timeout=timeout) as response:
            response.raise_for_status()
            tail, synced = b"", False
            async for chunk in response.content.iter_any():
                text = tail + chunk
                if not synced and _SYNCED in text:
                    synced = True
                    self.synced += 1
                tail = self._note(text)

    def _note(self, text: bytes) -> bytes:
        """Note deliveries, and return the end of the text, which may begin a mark."""
        end = 0
        for match in _MARK.finditer(text):
            end = match.end()
            begun = self.begun.get(int(match.group(1)))
            if begun is not None:  # else a mark of earlier watchers
                self.delays.append(time.perf_counter() - begun)
        return text[max(end, len(text) - _MARK_BYTES) :]


def mark(n: int) -> str:
    """Return a status.modelsReady by which watchers recognize the n-th change."""
    return f"{n}/0"
