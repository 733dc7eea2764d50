"""The recent changes of all workspaces, kept once for all watches."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from aichat_workspace.api.workspaces.views import View
from aichat_workspace.kube.objects import Key

_MAX_CHANGES: Final = 10_000
_GATHER_SECONDS: Final = 0.05
_MAX_SHARED: Final = 64


class ChangeType(StrEnum):
    """The kinds of change, as Kubernetes' watches call them."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a workspace."""

    version: int
    """The API server's version: it never falls, and several changes may share one."""
    type: ChangeType
    """What happened."""
    key: Key
    """The workspace's namespace and name."""
    view: View | None
    """The state; None once the log has a newer change of the workspace."""


class ChangeLog:
    """A log of limited length, with at most one state of each workspace.

    Each reader keeps its own position, so slow readers cost nothing: a position that has left the
    log makes its reader start again from the current state.
    """

    def __init__(self, max_changes: int = _MAX_CHANGES) -> None:
        self._max_changes = max_changes
        self._log: list[Change] = []
        self._newest: dict[Key, int] = {}
        self._dropped = 0
        self._complete_after = 0  # changes up to this version may be missing
        self._waiters: set[asyncio.Future[None]] = set()
        self._is_gathering = False
        self._shared: dict[Hashable, Sequence[bytes]] = {}

    @property
    def end(self) -> int:
        """The position behind the newest change."""
        return self._dropped + len(self._log)

    def begin(self, version: int) -> None:
        """Note that earlier changes than this version are not in the log."""
        self._complete_after = max(self._complete_after, version)

    def add(self, change: Change) -> None:
        """Append a change, and wake the readers a moment later."""
        self._supersede(change.key)
        self._newest[change.key] = self.end
        self._log.append(change)
        if len(self._log) > 2 * self._max_changes:
            excess = len(self._log) - self._max_changes
            self._complete_after = max(self._complete_after, self._log[excess - 1].version)
            del self._log[:excess]
            self._dropped += excess
            self._newest = {
                key: position for key, position in self._newest.items() if position >= self._dropped
            }
        self._shared.clear()
        if self._waiters and not self._is_gathering:
            self._is_gathering = True
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._wake)

    def _supersede(self, key: Key) -> None:
        position = self._newest.get(key)
        if position is not None:
            index = position - self._dropped
            self._log[index] = replace(self._log[index], view=None)

    def since(self, position: int) -> Sequence[Change] | None:
        """Return the changes from a position on; None when it has left the log."""
        return None if position < self._dropped else self._log[position - self._dropped :]

    def share(self, reader: Hashable, encode: Callable[[], Sequence[bytes]]) -> Sequence[bytes]:
        """Return what `encode` returns, which is called once for equal readers of the same changes.

        It stays in memory until there is another change, so only a few readers that differ share.
        """
        pieces = self._shared.get(reader)
        if pieces is None:
            pieces = encode()
            if len(self._shared) < _MAX_SHARED:
                self._shared[reader] = pieces
        return pieces

    def position_after(self, version: int) -> int | None:
        """Return the position after all changes up to a version; None when the log begins later."""
        if version < self._complete_after:
            return None
        return self._dropped + bisect_right(self._log, version, key=lambda change: change.version)

    async def wait_for_change(
        self, position: int, waiter: "asyncio.Future[None] | None" = None
    ) -> bool:
        """Wait until a moment after there is a change at this position; return whether there is.

        The moment lets changes in quick succession come together. `waiter` is the reader's own, who
        ends the wait by its result. No task is created, and nothing is shared that a cancelled
        reader could cancel, since there may be a thousand.
        """
        if self.end <= position:
            waiter = waiter or asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
        return self.end > position

    def _wake(self) -> None:
        waiters, self._waiters, self._is_gathering = self._waiters, set(), False
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
