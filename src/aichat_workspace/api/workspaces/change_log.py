"""The recent changes of all workspaces, kept once for all watches."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from aichat_workspace.api.workspaces.views import View
from aichat_workspace.kube.objects import Key

_MAX_CHANGES: Final = 10_000
_GATHER_SECONDS: Final = 0.05


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
        self._next_change: asyncio.Future[Any] | None = None
        self._is_gathering = False

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
        if self._next_change is not None and not self._is_gathering:
            self._is_gathering = True
            self._next_change.get_loop().call_later(_GATHER_SECONDS, self._wake)

    def _supersede(self, key: Key) -> None:
        position = self._newest.get(key)
        if position is not None:
            index = position - self._dropped
            self._log[index] = replace(self._log[index], view=None)

    def since(self, position: int) -> Sequence[Change] | None:
        """Return the changes from a position on; None when it has left the log."""
        return None if position < self._dropped else self._log[position - self._dropped :]

    def position_after(self, version: int) -> int | None:
        """Return the position after all changes up to a version; None when the log begins later."""
        if version < self._complete_after:
            return None
        return self._dropped + bisect_right(self._log, version, key=lambda change: change.version)

    def next_change(self, position: int) -> "asyncio.Future[Any]":
        """Return a future that is done a moment after there is a change at this position.

        The moment lets changes in quick succession come together. All readers share the future,
        since there may be a thousand: never cancel it.
        """
        loop = asyncio.get_running_loop()
        if self.end > position:
            done: asyncio.Future[Any] = loop.create_future()
            done.set_result(None)
            return done
        if self._next_change is None:
            self._next_change = loop.create_future()
        return self._next_change

    async def wait_for_change(self, position: int) -> None:
        """Wait until there is a change at this position."""
        await asyncio.shield(self.next_change(position))

    def _wake(self) -> None:
        future, self._next_change, self._is_gathering = self._next_change, None, False
        if future is not None and not future.done():
            future.set_result(None)
