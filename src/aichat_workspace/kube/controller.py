"""Workers that bring keys from a queue to rest."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from aichat_workspace.kube.errors import ApiError, Unreachable
from aichat_workspace.kube.queue import Queue

K = TypeVar("K", bound=Hashable)
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Result:
    """A reconcile that ended well. Look again after so many seconds, or only when told."""

    requeue_after_seconds: float | None = None


class Controller(Generic[K]):
    """Calls `reconcile` for each key of the queue.

    A reconcile that raises is called again, later each time; one that the API server told to wait
    (Retry-After) waits at least so long.
    """

    def __init__(
        self, queue: Queue[K], reconcile: Callable[[K], Awaitable[Result]], *, workers: int
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._workers = workers

    async def run(self) -> None:
        """Until cancelled. Workers are independent: one that waits holds up no other."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._one(key)
            finally:
                self._queue.done(key)

    async def _one(self, key: K) -> None:
        try:
            result = await self._reconcile(key)
        except (ApiError, Unreachable) as error:
            told = getattr(error, "retry_after_seconds", None) or 0.0
            delay = self._queue.retry(key, told)
            _log.warning(
                "reconcile failed", key=key, error=str(error), retry_seconds=round(delay, 2)
            )
        except Exception:  # a bug must not stop the other workspaces
            delay = self._queue.retry(key)
            _log.exception("reconcile broke", key=key, retry_seconds=round(delay, 2))
        else:
            self._queue.forget(key)
            if result.requeue_after_seconds is not None:
                self._queue.add_after(key, result.requeue_after_seconds)
