"""Workspaces as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html

A stream begins with `reset` and everything there is, or, after a Last-Event-ID, with what has
changed since; `synced` says that it is up to date. Then come `ADDED`, `MODIFIED` and `DELETED`. Of
several changes in quick succession only the last state may be told. Every state is the newest known
when it is sent, and versions never fall within a stream nor from one to the next that resumes it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from aichat_workspace.api import problems
from aichat_workspace.api.access import Scope
from aichat_workspace.api.changes import Change, ChangeType
from aichat_workspace.api.directory import FIRST, Directory
from aichat_workspace.api.problems import Problem
from aichat_workspace.api.views import View

HEARTBEAT_SECONDS: Final = 15.0
_GATHER_SECONDS: Final = 0.05
_PIECE: Final = 64
_RETRY: Final = b"retry: 1000\n\n"


@dataclass(frozen=True, slots=True)
class Watcher:
    """What one caller watches. `scope` is asked for again and again; it raises Problem when the
    caller is nobody any more. `stopping` ends the stream."""

    directory: Directory
    scope: Callable[[], Awaitable[Scope]]
    wanted: Callable[[View], bool]
    stopping: asyncio.Event
    heartbeat_seconds: float = HEARTBEAT_SECONDS

    async def events(self, position: int | None) -> AsyncIterator[bytes]:
        """The stream from a position in the log of changes on; None begins with everything."""
        yield _RETRY
        try:
            async for piece in self._events(position):
                yield piece
        except Problem as problem:
            yield event("end", orjson.dumps(problem.document("")))
            return
        yield event("end", orjson.dumps({"detail": "The server stops. Connect again."}))

    async def _events(self, position: int | None) -> AsyncIterator[bytes]:
        scope = await self._scope()
        synced = False
        while not self.stopping.is_set():
            changes = None if position is None else self.directory.changes.since(position)
            if position is None or changes is None:  # new, or too slow: it fell off the log
                position = self.directory.changes.end
                pieces = self._everything(scope)
            else:
                position += len(changes)
                pieces = self._seen(changes, scope)
            for piece in _pieces(pieces):
                yield piece
            if changes is not None and not synced:
                yield event("synced", b"{}")
            synced = True
            if not await self._moved(position):
                yield b": heartbeat\n\n"
            before, scope = scope, await self._scope()
            if lost(before, scope):
                position = None
            elif before != scope:
                for piece in _pieces(self._gained(before, scope)):
                    yield piece

    async def _scope(self) -> Scope:
        scope = await self.scope()
        if not scope:
            raise problems.Problem(403, "forbidden", "You may not watch workspaces any more.")
        return scope

    def _everything(self, scope: Scope) -> Iterable[bytes]:
        """Taken at once, for it has to be all of one moment."""
        version = self.directory.workspaces.version
        views = [each for each in self.directory.sorted_from(FIRST) if self._sees(each, scope)]
        yield event("reset", b"{}")
        for each in views:
            yield event(ChangeType.ADDED, each.body)
        yield event("synced", b"{}", version)

    def _sees(self, view: View, scope: Scope) -> bool:
        return view.team in scope and self.wanted(view)

    def _gained(self, before: Scope, scope: Scope) -> Iterable[bytes]:
        for each in self.directory.sorted_from(FIRST):
            if self._sees(each, scope) and each.team not in before:
                yield event(ChangeType.ADDED, each.body)

    def _seen(self, changes: Sequence[Change], scope: Scope) -> Iterable[bytes]:
        """The last state of each; only the last event carries the version, for all of them have
        to be seen before a stream may go on from there."""
        last = {each.view.key: each for each in changes}
        seen = [each for each in last.values() if self._sees(each.view, scope)]
        for each in seen[:-1]:
            yield event(each.type, each.view.body)
        for each in seen[-1:]:
            yield event(each.type, each.view.body, changes[-1].version)

    async def _moved(self, position: int) -> bool:
        """Wait for a change, and a moment more for those that follow it; or for the heartbeat."""
        moved = asyncio.create_task(self.directory.changes.moved(position))
        stopping = asyncio.create_task(self.stopping.wait())
        try:
            done, _ = await asyncio.wait(
                {moved, stopping},
                timeout=self.heartbeat_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            moved.cancel()
            stopping.cancel()
        if moved in done:
            await asyncio.sleep(_GATHER_SECONDS)
        return bool(done)


def lost(before: Scope, after: Scope) -> bool:
    """Whether something that was seen may not be seen any more."""
    return not after.everywhere and (before.everywhere or not before.teams <= after.teams)


def event(kind: str, data: bytes, version: int | None = None) -> bytes:
    head = b"" if version is None else b"id: %d\n" % version
    return b"%sevent: %s\ndata: %s\n\n" % (head, kind.encode(), data)


def _pieces(events: Iterable[bytes]) -> Iterable[bytes]:
    """Several events in one write, and not too many: a slow reader holds no more than one."""
    piece: list[bytes] = []
    for each in events:
        piece.append(each)
        if len(piece) == _PIECE:
            yield b"".join(piece)
            piece = []
    if piece:
        yield b"".join(piece)


async def resume(
    directory: Directory, last_event_id: int | None, newest: Callable[[], Awaitable[int]]
) -> int | None:
    """Where in the log a stream goes on, or None where it has to begin anew.

    Another replica may have told more than this one knows yet: then wait for it. A version that
    the API server has not reached either is of another cluster, or made up. Raises Problem (503)
    when this replica does not catch up.
    """
    if last_event_id is None:
        return None
    if last_event_id > directory.workspaces.version:
        if last_event_id > await newest():
            return None
        try:
            async with asyncio.timeout(10):
                await directory.workspaces.reached(last_event_id)
        except TimeoutError:
            raise problems.unavailable("This replica is behind. Connect again.") from None
    return directory.changes.position_after(last_event_id)
