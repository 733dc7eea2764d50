"""Model downloads: how many at once, how fast each is, and when one is stuck."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aichat_workspace.ollama.client import Progress
from aichat_workspace.ollama.errors import OllamaUnreachableError

STALL_SECONDS: Final = 60.0
# Checking a download's digest is silent, and takes minutes for tens of gigabytes.
SILENCE_SECONDS: Final = 900.0
SLOT_SECONDS: Final = 600.0
_SLOW_SECONDS: Final = 10.0
_WINDOW_SECONDS: Final = 10.0


@dataclass(slots=True, eq=False)
class Slot:
    """One workspace's right to download a model, waited for or granted."""

    workspace: str
    grant: asyncio.Future[None]
    granted_at: float = 0.0
    """On the loop's clock, in seconds."""


class DownloadSlots:
    """A limited number of download slots.

    The next slot goes to the workspace with the fewest running downloads, so that a workspace with
    many models does not hold up the others; among equals, to the one that waited longest. A slot
    lasts ten minutes while a workspace with fewer downloads waits, so that a slow registry does not
    hold up the others either.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        """`limit` is called each time, so that a changed setting counts at once."""
        self._limit = limit
        self._granted: set[Slot] = set()
        self._waiting: list[Slot] = []

    @property
    def running(self) -> int:
        return len(self._granted)

    @asynccontextmanager
    async def slot(self, workspace: str) -> AsyncIterator[Slot]:
        """Wait for a slot, and hold it."""
        slot = Slot(workspace, asyncio.get_running_loop().create_future())
        self._waiting.append(slot)
        self.grant_waiting()
        try:
            await slot.grant
            yield slot
        finally:
            self._release(slot)

    def expire(self, slot: Slot) -> bool:
        """Release a slot whose time is over, for another workspace. Return whether it was."""
        if asyncio.get_running_loop().time() - slot.granted_at < SLOT_SECONDS:
            return False
        running = self._running_by_workspace()
        is_over = any(
            running[waiting.workspace] < running[slot.workspace]
            for waiting in self._waiting
            if not waiting.grant.done()
        )
        if is_over:
            self._release(slot)
        return is_over

    def grant_waiting(self) -> None:
        """Grant free slots; to be called, too, when the limit was raised."""
        while self._waiting and self.running < self._limit():
            running = self._running_by_workspace()
            slot = min(self._waiting, key=lambda waiting: running[waiting.workspace])
            self._waiting.remove(slot)
            if not slot.grant.cancelled():
                slot.granted_at = asyncio.get_running_loop().time()
                self._granted.add(slot)
                slot.grant.set_result(None)

    def _release(self, slot: Slot) -> None:
        self._granted.discard(slot)
        if slot in self._waiting:  # else it was cancelled, and passed over since
            self._waiting.remove(slot)
        self.grant_waiting()

    def _running_by_workspace(self) -> Counter[str]:
        return Counter(slot.workspace for slot in self._granted)


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """A download's progress with its speed."""

    progress: Progress
    bytes_per_second: int
    is_waiting: bool
    """No data came of late."""
    is_downloading: bool = True
    """Afterwards the server checks what came."""


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


async def with_speed(
    pulling: AsyncGenerator[Progress, None], clock: Callable[[], float]
) -> AsyncGenerator[DownloadProgress, None]:
    """Yield a download's progress with its speed. `clock` returns seconds.

    Raises:
        OllamaUnreachableError: no data came for a minute, or their check did not end. A retry
            resumes.
    """
    window = _Window()
    advanced = clock()
    downloading = True
    async with aclosing(pulling):
        while (progress := await _next(pulling, downloading=downloading)) is not None:
            now = clock()
            before, downloading = downloading, progress.status.startswith("pulling")
            if progress.fresh_bytes or downloading != before:
                advanced = now
            silent = now - advanced
            if downloading and silent > STALL_SECONDS:
                raise OllamaUnreachableError(f"no data from the registry for {STALL_SECONDS:.0f} s")
            if silent > SILENCE_SECONDS:
                raise OllamaUnreachableError(f"no end of its check for {SILENCE_SECONDS:.0f} s")
            yield DownloadProgress(
                progress,
                window.rate(now, progress.fresh_bytes),
                is_waiting=downloading and silent > _SLOW_SECONDS,
                is_downloading=downloading,
            )


async def _next(pulling: AsyncGenerator[Progress, None], *, downloading: bool) -> Progress | None:
    """The next progress, or None at the end."""
    patience = STALL_SECONDS if downloading else SILENCE_SECONDS
    try:
        async with asyncio.timeout(patience):
            return await anext(pulling, None)
    except TimeoutError as error:
        raise OllamaUnreachableError(f"no word from it for {patience:.0f} s") from error
