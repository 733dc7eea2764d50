"""The recent changes of all workspaces, kept once and read by everyone who watches."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from aichat_workspace.api.workspaces.views import View
from aichat_workspace.kube.objects import Key

_MOST: Final = 10_000
_GATHER_SECONDS: Final = 0.05


class ChangeType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Change:
    """`version` is the API server's: it never falls, and several changes may share one. `view` is
    None once a newer change of the same workspace is in the log: nobody is told it any more."""

    version: int
    type: ChangeType
    key: Key
    view: View | None


class Changes:
    """A log of bounded length, which holds one state of each workspace at most. Readers keep a
    position of their own, so a slow one costs nothing: it falls off the end, and starts again from
    what is there."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._log: list[Change] = []
        self._newest: dict[Key, int] = {}
        self._dropped = 0
        self._floor = 0  # changes up to this version may be missing
        self._moved: asyncio.Future[Any] | None = None
        self._is_gathering = False

    @property
    def end(self) -> int:
        """The position behind the newest change."""
        return self._dropped + len(self._log)

    def begin(self, version: int) -> None:
        """What was before this version is not in the log."""
        self._floor = max(self._floor, version)

    def add(self, change: Change) -> None:
        self._supersede(change.key)
        self._newest[change.key] = self.end
        self._log.append(change)
        if len(self._log) > 2 * self._most:
            gone = len(self._log) - self._most
            self._floor = max(self._floor, self._log[gone - 1].version)
            del self._log[:gone]
            self._dropped += gone
            kept = {key: at for key, at in self._newest.items() if at >= self._dropped}
            self._newest = kept
        if self._moved is not None and not self._is_gathering:
            self._is_gathering = True
            self._moved.get_loop().call_later(_GATHER_SECONDS, self._wake)

    def _supersede(self, key: Key) -> None:
        at = self._newest.get(key)
        if at is not None:
            self._log[at - self._dropped] = replace(self._log[at - self._dropped], view=None)

    def since(self, position: int) -> Sequence[Change] | None:
        """The changes from a position on, or None for one that has fallen off."""
        return None if position < self._dropped else self._log[position - self._dropped :]

    def position_after(self, version: int) -> int | None:
        """The position behind all changes up to a version, or None where the log does not reach
        back so far."""
        if version < self._floor:
            return None
        return self._dropped + bisect_right(self._log, version, key=lambda each: each.version)

    def next(self, position: int) -> "asyncio.Future[Any]":
        """Done a moment after there is a change at this position, so that those that follow it come
        with it. All who wait share it, for there may be a thousand: never cancel it."""
        loop = asyncio.get_running_loop()
        if self.end > position:
            done: asyncio.Future[Any] = loop.create_future()
            done.set_result(None)
            return done
        if self._moved is None:
            self._moved = loop.create_future()
        return self._moved

    async def moved(self, position: int) -> None:
        """Wait until there is a change at this position."""
        await asyncio.shield(self.next(position))

    def _wake(self) -> None:
        moved, self._moved, self._is_gathering = self._moved, None, False
        if moved is not None and not moved.done():
            moved.set_result(None)
