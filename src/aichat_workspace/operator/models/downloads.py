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
TURN_SECONDS: Final = 600.0
_SLOW_SECONDS: Final = 10.0
_WINDOW_SECONDS: Final = 10.0


@dataclass(slots=True, eq=False)
class Slot:
    """One workspace's right to download a model, waited for or held."""

    workspace: str
    given: asyncio.Future[None]
    since: float = 0.0  # of the loop's clock


class DownloadSlots:
    """A limited number of places. The next one goes to the workspace with the fewest downloads at
    work, so that one with many models holds up no other; among equals, to who waited longest.

    While a workspace with fewer waits, a place is held for ten minutes: a registry that crawls
    holds up no other workspace either.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        """`limit` is asked each time, so that a changed setting counts at once."""
        self._limit = limit
        self._held: set[Slot] = set()
        self._waiting: list[Slot] = []

    @property
    def running(self) -> int:
        return len(self._held)

    @asynccontextmanager
    async def place(self, workspace: str) -> AsyncIterator[Slot]:
        place = Slot(workspace, asyncio.get_running_loop().create_future())
        self._waiting.append(place)
        self.grant_waiting()
        try:
            await place.given
            yield place
        finally:
            self._release(place)

    def expire(self, place: Slot) -> bool:
        """Whether its time is over. Then another workspace has it, and the download is to end."""
        if asyncio.get_running_loop().time() - place.since < TURN_SECONDS:
            return False
        at_work = self._at_work()
        mine, waiting = at_work[place.workspace], self._waiting
        over = any(at_work[each.workspace] < mine for each in waiting if not each.given.done())
        if over:
            self._release(place)
        return over

    def grant_waiting(self) -> None:
        """Give free places away; also to be called when the limit was raised."""
        while self._waiting and self.running < self._limit():
            at_work = self._at_work()
            chosen = min(self._waiting, key=lambda each: at_work[each.workspace])
            self._waiting.remove(chosen)
            if not chosen.given.cancelled():
                chosen.since = asyncio.get_running_loop().time()
                self._held.add(chosen)
                chosen.given.set_result(None)

    def _release(self, place: Slot) -> None:
        self._held.discard(place)
        if place in self._waiting:  # else it was cancelled, and passed over since
            self._waiting.remove(place)
        self.grant_waiting()

    def _at_work(self) -> Counter[str]:
        return Counter(each.workspace for each in self._held)


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far a download is, how fast, whether it waits for data, and whether it still downloads:
    afterwards what came is checked."""

    progress: Progress
    bytes_per_second: int
    waiting: bool
    downloading: bool = True


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
) -> AsyncGenerator[DownloadProgress, None]:
    """A download's progress with its speed; `clock` gives seconds.

    Raises OllamaUnreachableError when no data came for a minute, or when checking them has no end.
    A retry resumes."""
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
                waiting=downloading and silent > _SLOW_SECONDS,
                downloading=downloading,
            )


async def _next(pulling: AsyncGenerator[Progress, None], *, downloading: bool) -> Progress | None:
    """The next progress, or None at the end."""
    patience = STALL_SECONDS if downloading else SILENCE_SECONDS
    try:
        async with asyncio.timeout(patience):
            return await anext(pulling, None)
    except TimeoutError as error:
        raise OllamaUnreachableError(f"no word from it for {patience:.0f} s") from error
