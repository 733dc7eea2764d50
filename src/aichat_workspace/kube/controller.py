"""Workers that reconcile the keys of a queue."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Self, TypeVar, cast

import structlog

from aichat_workspace.kube.errors import ApiError, UnreachableError
from aichat_workspace.kube.work_queue import Queue

K = TypeVar("K", bound=Hashable)
_END_SECONDS: Final = 3.0
_LOG_AGAIN_SECONDS: Final = 600.0
_log: Final = structlog.get_logger()

OnReconcile = Callable[[str, float], None]
"""Called at the end of each reconcile with its outcome and its seconds: `ok`; `failed` (refused, or
no response); `crashed` (a bug)."""


@dataclass(frozen=True, slots=True)
class Result:
    """A reconcile that succeeded."""

    requeue_after_seconds: float | None = None
    """When to reconcile again; None to wait for a change."""
    cost: float = 0.0
    """What it has written, in tokens of `write_budgets`: a fight with another writer, in which each
    reconcile succeeds, must not go on at full speed."""
    is_whole: bool = True
    """False where only progress was reported, which proves nothing of an earlier failure."""

    @classmethod
    def at_earliest(cls, seconds: Iterable[float | None], cost: float = 0.0) -> Self:
        """Reconcile again at the first of these; None is never."""
        return cls(min((value for value in seconds if value is not None), default=None), cost)


class Controller(Generic[K]):
    """Calls `reconcile` for each key of the queue.

    A failed one is repeated, later each time, and not before the API server's Retry-After.
    """

    def __init__(
        self,
        queue: Queue[K],
        reconcile: Callable[[K], Awaitable[Result]],
        *,
        workers: int,
        on_reconcile: OnReconcile = lambda *_: None,
    ) -> None:
        self._on_reconcile = on_reconcile
        self._queue = queue
        self._reconcile = reconcile
        self._workers = workers
        self._busy: set[asyncio.Task[None]] = set()
        self._logged: dict[K, tuple[str, float]] = {}
        self._ending = False

    async def run(self) -> None:
        """Run the workers until cancelled; give reconciles in progress three seconds to end.

        A worker that waits does not delay the others. Raises the error of a worker that failed."""
        workers = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        try:
            ended, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            await self._end(workers)
        for worker in ended:
            worker.result()

    async def _work(self) -> None:
        while not self._ending:
            key = await self._queue.get()
            worker = cast("asyncio.Task[None]", asyncio.current_task())
            self._busy.add(worker)
            try:
                await self._process(key)
            finally:
                self._busy.discard(worker)
                self._queue.done(key)

    async def _end(self, workers: "Sequence[asyncio.Task[None]]") -> None:
        self._ending = True
        if self._busy:
            await asyncio.wait([*self._busy], timeout=_END_SECONDS)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _process(self, key: K) -> None:
        started = time.monotonic()
        outcome = await self._try_reconcile(key)
        self._on_reconcile(outcome, time.monotonic() - started)

    async def _try_reconcile(self, key: K) -> str:
        try:
            result = await self._reconcile(key)
        except (ApiError, UnreachableError) as error:
            retry_after_seconds = getattr(error, "retry_after_seconds", None) or 0.0
            delay = self._queue.retry(key, retry_after_seconds)
            if self._is_news(key, str(error)):
                _log.warning(
                    "reconcile failed", key=key, error=str(error), retry_seconds=round(delay, 2)
                )
            return "failed"
        except Exception as error:  # a bug must not stop the other workspaces
            delay = self._queue.retry(key)
            if self._is_news(key, type(error).__name__):
                _log.exception("reconcile crashed", key=key, retry_seconds=round(delay, 2))
            return "crashed"
        self._queue.spend(key, result.cost)
        if result.is_whole:
            self._queue.forget(key)
            self._logged.pop(key, None)
        if result.requeue_after_seconds is not None:
            self._queue.add_after(key, result.requeue_after_seconds)
        return "ok"

    def _is_news(self, key: K, failure: str) -> bool:
        """Whether to log a failure: the same one of a key is logged once in ten minutes."""
        now = time.monotonic()
        logged = self._logged.get(key)
        if logged and logged[0] == failure and now - logged[1] < _LOG_AGAIN_SECONDS:
            return False
        self._logged[key] = failure, now
        return True
