"""Many watchers, and when each is told of each change."""

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
    """`begun` is when each marked change was sent; `delays` how long after that it was told."""

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

    async def wait_told(self, count: int, seconds: float) -> None:
        """Until so many changes were told; fewer may be, for of several only the last counts."""
        deadline = time.monotonic() + seconds
        while len(self.delays) < count and time.monotonic() < deadline:
            self._raise()
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _raise(self) -> None:
        for each in self._tasks:
            if each.done():
                each.result()
                raise RuntimeError("a watch has ended")

    async def _watch(self, url: str, headers: Mapping[str, str]) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with self.session.get(url, headers=headers, timeout=timeout) as answer:
            answer.raise_for_status()
            tail, synced = b"", False
            async for chunk in answer.content.iter_any():
                text = tail + chunk
                if not synced and _SYNCED in text:
                    synced = True
                    self.synced += 1
                tail = self._note(text)

    def _note(self, text: bytes) -> bytes:
        """Note what is told, and give what may be the beginning of a mark."""
        end = 0
        for found in _MARK.finditer(text):
            end = found.end()
            begun = self.begun.get(int(found.group(1)))
            if begun is not None:  # and not what others were told before
                self.delays.append(time.perf_counter() - begun)
        return text[max(end, len(text) - _MARK_BYTES) :]


def mark(n: int) -> str:
    """A value of status.modelsReady by which watchers know the n-th change."""
    return f"{n}/0"
