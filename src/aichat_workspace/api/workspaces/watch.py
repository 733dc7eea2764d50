"""Workspaces as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html

A stream begins with `reset` and everything there is, or, after a Last-Event-ID, with what has
changed since; `synced` says that it is up to date. Then come `ADDED`, `MODIFIED` and `DELETED`. Of
several changes in quick succession only the last state may be told. Of one workspace versions never
fall, within a stream or from one to the next that resumes it.

An event's id says up to which version everything was told, and of which teams: a caller who may see
others by now, or asks for others, begins anew. `reset` takes the id away, for until `synced` there
is nothing to go on from.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import orjson

from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.streaming import joined
from aichat_workspace.api.workspaces.change_log import Change, ChangeType
from aichat_workspace.api.workspaces.cluster_view import FIRST, ClusterView
from aichat_workspace.api.workspaces.views import View

HEARTBEAT_SECONDS: Final = 15.0
RECHECK_SECONDS: Final = 5.0
_NOTHING: Final = Scope(everywhere=False)
_RETRY: Final = b"retry: 1000\n\n"
_ID: Final = re.compile(r"([0-9]{1,20})-([0-9a-f]{16})", re.ASCII)
_CATCH_UP_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """A place where a stream can go on."""

    version: int
    seen: str

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """None for one that no stream has ever given."""
        found = _ID.fullmatch(text or "")
        return cls(int(found[1]), found[2]) if found else None

    def __str__(self) -> str:
        return f"{self.version}-{self.seen}"


@dataclass(slots=True)
class _CachedScope:
    """What may be seen, as it was some seconds ago at most."""

    ask: Callable[[], Awaitable[Scope]]
    seconds: float
    scope: Scope = _NOTHING
    _due: float = 0.0

    async def changed(self) -> bool:
        """Whether it is another than before, asked for when it is due. Raises what `ask` raises."""
        clock = asyncio.get_running_loop().time
        if clock() < self._due:
            return False
        before, self.scope = self.scope, await self.ask()
        self._due = clock() + self.seconds
        return before != self.scope


@dataclass(frozen=True, slots=True)
class Watcher:
    """What one caller watches. `scope` is asked for again and again, but not with every change; it
    raises Problem when the caller is nobody any more. `query` tells apart what `wanted` wants.
    `stopping` ends the stream."""

    directory: ClusterView
    scope: Callable[[], Awaitable[Scope]]
    wanted: Callable[[View], bool]
    stopping: asyncio.Event
    query: str = ""
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    recheck_seconds: float = RECHECK_SECONDS

    async def events(self, position: int | None) -> AsyncGenerator[bytes, None]:
        """The stream from a position in the log of changes on; None begins with everything."""
        yield _RETRY
        try:
            async for piece in self._events(position):
                yield piece
        except problems.TOLD as error:  # the caller may no more, or nobody says
            yield event("end", orjson.dumps(problems.of(error).document("")))
            return
        yield event("end", orjson.dumps({"detail": "The server stops. Connect again."}))

    def seen(self, scope: Scope) -> str:
        """What may be seen and is wanted, as a word to compare."""
        told = orjson.dumps([scope.everywhere, sorted(scope.teams), self.query])
        return hashlib.blake2b(told, digest_size=8).hexdigest()

    async def _events(self, position: int | None) -> AsyncIterator[bytes]:
        stopping: asyncio.Future[Any] = asyncio.create_task(self.stopping.wait())
        try:
            async for piece in self._until(stopping, position):
                yield piece
        finally:
            stopping.cancel()

    async def _until(
        self, stopping: "asyncio.Future[Any]", position: int | None
    ) -> AsyncIterator[bytes]:
        sight = _CachedScope(self._scope, self.recheck_seconds)
        await sight.changed()
        synced = False
        while not stopping.done():
            changes = None if position is None else self.directory.changes.since(position)
            if position is None or changes is None:  # new, or too slow: it fell off the log
                position = self.directory.changes.end
                pieces = self._everything(sight.scope)
            else:
                position += len(changes)
                pieces = self._seen(changes, sight.scope)
            changed = False
            for piece in joined(pieces):
                yield piece
                if changed := await sight.changed():  # a slow reader may have taken minutes
                    break
            if not changed:
                if changes is not None and not synced:
                    yield event("synced", b"{}")
                synced = True
                if not await self._moved(position, stopping):
                    yield b": heartbeat\n\n"
                changed = await sight.changed()
            if changed:
                position = None

    async def _scope(self) -> Scope:
        scope = await self.scope()
        if not scope:
            raise problems.ProblemError(403, "forbidden", "You may not watch workspaces any more.")
        return scope

    def _everything(self, scope: Scope) -> Iterable[bytes]:
        """Which there are is taken at once. Of each its state is sent that is there when its turn
        comes, so that a slow reader holds none of them; one that is newer than the beginning is in
        the log, and told with it."""
        mark = ResumeToken(self.directory.workspaces.version, self.seen(scope))
        keys = [each.key for each in self.directory.sorted_from(FIRST) if self._sees(each, scope)]
        yield event("reset", b"{}", "")
        for at in keys:
            found = self.directory.at(*at)
            if found is not None and found.version <= mark.version:
                yield event(ChangeType.ADDED, found.body)
        yield event("synced", b"{}", mark)

    def _sees(self, view: View, scope: Scope) -> bool:
        return view.team in scope and self.wanted(view)

    def _seen(self, changes: Sequence[Change], scope: Scope) -> Iterable[bytes]:
        """The last state of each, in the order of versions. An event has an id where all changes
        up to its version are told with it: of several that share a version, the last."""
        told = [
            (each.version, each.type, each.view.body)
            for each in changes
            if each.view is not None and self._sees(each.view, scope)
        ]
        seen = self.seen(scope)
        for at, (version, kind, body) in enumerate(told, start=1):
            is_last = at == len(told) or told[at][0] > version
            yield event(kind, body, ResumeToken(version, seen) if is_last else None)

    async def _moved(self, position: int, stopping: "asyncio.Future[Any]") -> bool:
        """Wait for changes, or for the heartbeat. No task is made for it: with every change each
        of many watchers comes by here."""
        done, _ = await asyncio.wait(
            {self.directory.changes.next(position), stopping},
            timeout=self.heartbeat_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        return bool(done)


def event(kind: str, data: bytes, mark: ResumeToken | str | None = None) -> bytes:
    """`mark` becomes the id from which a stream may go on; an empty one takes it away."""
    head = "" if mark is None else f"id: {mark}\n"
    return b"%sevent: %s\ndata: %s\n\n" % (head.encode(), kind.encode(), data)


class Upstream(Protocol):
    """What the API server says of all workspaces."""

    async def version(self) -> int:
        """The version that it has reached."""

    async def is_known(self) -> bool:
        """Whether the directory misses nothing of what it has; that costs a whole list."""


async def resume(
    directory: ClusterView, mark: ResumeToken | None, upstream: Upstream
) -> int | None:
    """Where in the log a stream goes on, or None where it has to begin anew.

    Another replica may have told more than this one knows yet: then wait for it. A version may
    also be ahead of this replica's only because nothing has changed; a watch does not tell that for
    a minute, so the API server is asked. One that the API server has not reached either is of
    another cluster, or made up. Raises ProblemError (503) when this replica does not catch up.
    """
    if mark is None:
        return None
    clock = asyncio.get_running_loop().time
    deadline = clock() + _CATCH_UP_SECONDS
    while directory.complete_until < mark.version:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                await directory.workspaces.wait_for_version(mark.version)
                break
        if await upstream.version() < mark.version:
            return None
        if await upstream.is_known():
            break
        if clock() > deadline:
            raise problems.unavailable("This replica is behind. Connect again.")
    return directory.changes.position_after(mark.version)
