"""Model downloads: how many at once, how fast each is, and when one is stuck."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aichat_workspace.ollama.client import Progress
from aichat_workspace.ollama.errors import OllamaUnreachable

STALL_SECONDS: Final = 60.0
# Checking a download's digest is silent, and takes minutes for tens of gigabytes.
SILENCE_SECONDS: Final = 900.0
_SLOW_SECONDS: Final = 10.0
_WINDOW_SECONDS: Final = 10.0


class Places:
    """A limited number of places. The next one goes to the workspace with the fewest downloads at
    work, so that one with many models holds up no other; among equals, to who waited longest."""

    def __init__(self, limit: Callable[[], int]) -> None:
        """`limit` is asked each time, so that a changed setting counts at once."""
        self._limit = limit
        self._running: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @property
    def running(self) -> int:
        return self._running.total()

    @asynccontextmanager
    async def place(self, workspace: str) -> AsyncIterator[None]:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((workspace, turn))
        self.fill()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._running[workspace] -= 1
            else:
                self._waiting.remove((workspace, turn))
            self.fill()

    def fill(self) -> None:
        """Give free places away; also to be called when the limit was raised."""
        while self._waiting and self.running < self._limit():
            chosen = min(self._waiting, key=lambda each: self._running[each[0]])
            self._waiting.remove(chosen)
            workspace, turn = chosen
            if not turn.cancelled():
                self._running[workspace] += 1
                turn.set_result(None)


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a download is, how fast, and whether it waits for data."""

    progress: Progress
    bytes_per_second: int
    waiting: bool


@dataclass(slots=True)
class _Window:
    """Bytes of the last seconds."""

    samples: deque[tuple[float, int]] = field(default_factory=deque)

    def rate(self, now: float, fresh_bytes: int) -> int:
        self.samples.append((now, fresh_bytes))
        while now - self.samples[0][0] > _WINDOW_SECONDS:
            self.samples.popleft()
        seconds = now - self.samples[0][0]
        return int(sum(size for _, size in self.samples) / seconds) if seconds >= 1 else 0


async def paced(
    pulling: AsyncGenerator[Progress, None], clock: Callable[[], float]
) -> AsyncGenerator[Pace, None]:
    """A download's progress with its speed; `clock` gives seconds.

    Raises OllamaUnreachable when no data came for a minute. A retry resumes.
    """
    window = _Window()
    advanced = clock()
    downloading = True
    async with aclosing(pulling):
        while (progress := await _next(pulling, downloading=downloading)) is not None:
            now = clock()
            downloading = progress.status.startswith("pulling")
            if progress.fresh_bytes or not downloading:
                advanced = now
            if now - advanced > STALL_SECONDS:
                raise OllamaUnreachable(f"no data from the registry for {STALL_SECONDS:.0f} s")
            rate = window.rate(now, progress.fresh_bytes)
            yield Pace(progress, rate, waiting=now - advanced > _SLOW_SECONDS)


async def _next(pulling: AsyncGenerator[Progress, None], *, downloading: bool) -> Progress | None:
    """The next progress, or None at the end."""
    patience = STALL_SECONDS if downloading else SILENCE_SECONDS
    try:
        async with asyncio.timeout(patience):
            return await anext(pulling, None)
    except TimeoutError as error:
        raise OllamaUnreachable(f"no word from it for {patience:.0f} s") from error
