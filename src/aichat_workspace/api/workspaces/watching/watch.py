"""Workspaces as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html

A stream begins with `reset` and all workspaces or, after a Last-Event-ID, with the changes since;
`synced` says that it is up to date. Then come `ADDED`, `MODIFIED` and `DELETED`. Of several changes
in quick succession, only the last state may be sent. The versions of one workspace never fall,
within a stream or from one to the next that resumes it.

An event's id has the version up to which everything was sent, and a hash of the teams: a caller who
may see other teams by now, or asks for others, starts again. `reset` clears the id, since a stream
can't be resumed before `synced`.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, Self

import orjson
import structlog

from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.api.web.responses import cluster_errors, problems
from aichat_workspace.api.web.responses.streaming import (
    HEARTBEAT,
    HEARTBEAT_SECONDS,
    PIECE_BYTES,
    join_pieces,
    server_sent_event,
)
from aichat_workspace.api.workspaces.change_log import Change, ChangeType
from aichat_workspace.api.workspaces.cluster_view import FIRST, ClusterView
from aichat_workspace.api.workspaces.views import View, body

RECHECK_SECONDS: Final = 5.0
_NO_SCOPE: Final = Scope(everywhere=False)
_log: Final = structlog.get_logger()
_RETRY: Final = b"retry: 1000\n\n"
_ID: Final = re.compile(r"([0-9]{1,20})-([0-9a-f]{16})", re.ASCII)
_CATCH_UP_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """A position where a stream can be resumed."""

    version: int
    """The version up to which everything was sent."""
    scope_hash: str
    """The hash of what the caller could see and asked for."""

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Return None for a text that is not a token."""
        match = _ID.fullmatch(text or "")
        return cls(int(match[1]), match[2]) if match else None

    def __str__(self) -> str:
        return f"{self.version}-{self.scope_hash}"


@dataclass(slots=True)
class _CachedScope:
    """What the caller may see, as of some seconds ago."""

    fetch: Callable[[], Awaitable[Scope]]
    """Asks what the caller may see."""
    seconds: float
    """How long an answer is used."""
    scope: Scope = _NO_SCOPE
    """The last answer."""
    _due: float = 0.0

    async def has_changed(self) -> bool:
        """Fetch the scope when due, and return whether it changed. Raises what `fetch` raises."""
        clock = asyncio.get_running_loop().time
        if clock() < self._due:
            return False
        before, self.scope = self.scope, await self.fetch()
        self._due = clock() + self.seconds
        return before != self.scope


class _Alarm:
    """Wakes one reader when nothing has changed for some seconds, and when the server stops.

    Each of many readers sets it for every change. So its timer is not set anew each time: it rings,
    and is set for the rest of the time.
    """

    def __init__(self, stopping: asyncio.Event, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._due = self._loop.time() + seconds
        self._waiter: asyncio.Future[None] = self._loop.create_future()
        self._timer = self._loop.call_at(self._due, self._ring)
        self._stop = asyncio.ensure_future(stopping.wait())
        self._stop.add_done_callback(lambda _: self._wake())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._stop.cancel()

    def set(self) -> "asyncio.Future[None]":
        """Return a new future, which is done when it rings."""
        self._due = self._loop.time() + self._seconds
        self._waiter = self._loop.create_future()
        if self._stop.done():
            self._wake()
        return self._waiter

    def _ring(self) -> None:
        now = self._loop.time()
        if now >= self._due:
            self._wake()
            self._due = now + self._seconds
        self._timer = self._loop.call_at(self._due, self._ring)

    def _wake(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class Watcher:
    """What one caller watches."""

    cluster: ClusterView
    """The workspaces."""
    scope: Callable[[], Awaitable[Scope]]
    """Asks what the caller may see; raises ProblemError when their token is revoked."""
    stopping: asyncio.Event
    """Ends the stream."""
    team: str | None = None
    """The only team whose workspaces are asked for."""
    name: str | None = None
    """The only name of workspaces that is asked for."""
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    """When a quiet stream sends a heartbeat."""
    recheck_seconds: float = RECHECK_SECONDS
    """When `scope` is asked again."""
    fields: Sequence[str] = ()
    """The dotted paths of what is sent of each workspace; empty for whole workspaces."""

    @property
    def query(self) -> tuple[str | None, ...]:
        """What is asked for: readers with the same query and scope share events."""
        return (self.team, self.name, *self.fields)

    async def events(
        self, position: int | None, token: ResumeToken | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Stream from a position in the change log on; None starts with all workspaces.

        The position is that of a token, which is worth nothing once the caller's scope has changed.
        """
        yield _RETRY
        try:
            with _Alarm(self.stopping, self.heartbeat_seconds) as alarm:
                async for piece in self._stream(alarm, position, token):
                    yield piece
        except cluster_errors.REPORTABLE_ERRORS as error:  # not allowed, or no answer
            problem = cluster_errors.as_problem(error)
            _log.info("a watch was ended", outcome=problem.status, why=problem.detail)
            yield server_sent_event("end", orjson.dumps(problem.document("")))
            return
        yield server_sent_event("end", orjson.dumps({"detail": "The server stops. Connect again."}))

    def scope_hash(self, scope: Scope) -> str:
        """Return a hash of what the caller may see and asked for, to compare."""
        visible = orjson.dumps([scope.everywhere, sorted(scope.teams), self.query])
        return hashlib.blake2b(visible, digest_size=8).hexdigest()

    async def _stream(
        self, alarm: _Alarm, position: int | None, token: ResumeToken | None
    ) -> AsyncIterator[bytes]:
        cached_scope = _CachedScope(self._scope, self.recheck_seconds)
        await cached_scope.has_changed()
        if token is not None and token.scope_hash != self.scope_hash(cached_scope.scope):
            position = None
        is_synced = False
        while not self.stopping.is_set():
            changes = None if position is None else self.cluster.changes.since(position)
            if position is None or changes is None:  # new, or too slow for the log
                position = self.cluster.changes.end
                pieces = join_pieces(self._snapshot_events(cached_scope.scope))
            else:
                pieces = self._change_pieces(position, changes, cached_scope.scope)
                position += len(changes)
            has_changed = False
            for piece in pieces:
                yield piece
                # a slow reader may have taken minutes
                if has_changed := await cached_scope.has_changed():
                    break
            if not has_changed:
                if changes is not None and not is_synced:
                    yield server_sent_event("synced", b"{}")
                is_synced = True
                is_quiet = not await self.cluster.changes.wait_for_change(position, alarm.set())
                if is_quiet and not self.stopping.is_set():
                    yield HEARTBEAT
                has_changed = await cached_scope.has_changed()
            if has_changed:
                position = None

    async def _scope(self) -> Scope:
        scope = await self.scope()
        if not scope:
            raise problems.ProblemError(403, "forbidden", "You may not watch workspaces any more.")
        return scope

    def _snapshot_events(self, scope: Scope) -> Iterable[bytes]:
        """Yield all workspaces that there are now.

        Each is sent in the state of its turn, so a slow reader holds no states. One that is newer
        than the beginning is in the log, and sent from there.
        """
        token = ResumeToken(self.cluster.workspaces.version, self.scope_hash(scope))
        keys = [
            view.key for view in self.cluster.sorted_from(FIRST) if self._is_visible(view, scope)
        ]
        yield server_sent_event("reset", b"{}", "")
        for key in keys:
            view = self.cluster.get(*key)
            if view is not None and view.version <= token.version:
                yield server_sent_event(ChangeType.ADDED, body(view, self.fields))
        yield server_sent_event("synced", b"{}", token)

    def _is_visible(self, view: View, scope: Scope) -> bool:
        is_asked_for = self.team in (None, view.team) and self.name in (None, view.name)
        return is_asked_for and view.team in scope

    def _change_pieces(
        self, position: int, changes: Sequence[Change], scope: Scope
    ) -> Iterable[bytes]:
        """Return the changes from a position on, encoded once for all who may see the same of them
        and asked for the same. More than a piece is not shared, which would keep it in memory."""
        pieces = join_pieces(self._change_events(changes, scope))
        if sum(len(change.view.body) for change in changes if change.view) > PIECE_BYTES:
            return pieces
        return self.cluster.changes.share((position, scope, self.query), lambda: tuple(pieces))

    def _change_events(self, changes: Sequence[Change], scope: Scope) -> Iterable[bytes]:
        """Yield the last state of each workspace, in the order of versions.

        An event has an id if all changes up to its version have been sent: of several that share a
        version, only the last.
        """
        visible = [
            (change.version, change.type, change.view)
            for change in changes
            if change.view is not None and self._is_visible(change.view, scope)
        ]
        digest = self.scope_hash(scope)
        for index, (version, kind, view) in enumerate(visible, start=1):
            is_last = index == len(visible) or visible[index][0] > version
            token = ResumeToken(version, digest) if is_last else None
            yield server_sent_event(kind, body(view, self.fields), token)


class ApiServerVersion(Protocol):
    """Tells how far the API server is."""

    async def version(self) -> int:
        """Return the version that it has reached."""

    async def is_complete(self) -> bool:
        """Return whether the cluster view has everything; that costs a whole list."""


async def resume(
    cluster: ClusterView, token: ResumeToken | None, upstream: ApiServerVersion
) -> int | None:
    """Return the position in the log where a stream is resumed; None if it has to start again.

    Another replica may have sent more than this one has: then wait for it. A version may also be
    ahead because nothing has changed since; a watch does not say so for a minute, so ask the API
    server. A version that it has not reached either is another cluster's, or made up. Raises
    ProblemError (503) when this replica does not catch up.
    """
    if token is None:
        return None
    clock = asyncio.get_running_loop().time
    deadline = clock() + _CATCH_UP_SECONDS
    while cluster.complete_version < token.version:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                await cluster.workspaces.wait_for_version(token.version)
                break
        if await upstream.version() < token.version:
            return None
        if await upstream.is_complete():
            break
        if clock() > deadline:
            raise problems.unavailable("This replica is behind. Connect again.")
    return cluster.changes.position_after(token.version)
