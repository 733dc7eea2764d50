"""Sessions are renewed ahead of time: with a quarter of the token's life left.

A refresh token may work only once, and a second use may end the whole session (RFC 9700 4.14.2).
So all requests and streams of a browser share one renewal and its result: in this process by one
task, and with the other replicas by a Lease (`shared_sessions`).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from aichat_workspace.api.auth import id_token
from aichat_workspace.api.auth.provider import Provider
from aichat_workspace.api.auth.sessions import session as sessions
from aichat_workspace.api.auth.sessions.session import Session
from aichat_workspace.api.auth.sessions.shared_sessions import SharedSessions, Turn
from aichat_workspace.api.web.responses import cluster_errors
from aichat_workspace.api.web.responses.problems import ProblemError

_MAX_SESSIONS: Final = 10_000
_RETRY_SECONDS: Final = 5.0
_SWEEP_SECONDS: Final = 600.0
_FINISH_SECONDS: Final = 5.0
_log: Final = structlog.get_logger()


@dataclass(slots=True)
class _Renewal:
    """What this process knows of a session."""

    session: Session
    """Its last state."""
    failure: ProblemError | None = None
    """Why the last attempt failed."""
    retry_at: float = 0.0
    """When the next attempt may be made."""
    task: "asyncio.Task[Session] | None" = None
    """The attempt under way."""


@dataclass(slots=True)
class Renewals:
    """Renews sessions, and gives their last state to those who come with an older one."""

    provider: Provider | None
    shared: SharedSessions
    clock: Callable[[], float] = time.time
    _renewals: OrderedDict[str, _Renewal] = field(default_factory=OrderedDict)
    _sweep_at: float = 0.0
    _sweeping: "asyncio.Task[None] | None" = None

    async def current(self, session: Session) -> Session:
        """Return the session in its last state, renewed if that is due.

        Raises ProblemError (502 or 503) when the token has expired and the provider or the cluster
        does not answer; a retry may help.
        """
        if self.provider is None:
            return session
        renewal = self._renewal(session)
        if not sessions.is_due(renewal.session, self.clock()):
            return renewal.session
        try:
            return await self._attempt(self.provider, renewal)
        except ProblemError:
            if sessions.is_over(renewal.session, self.clock()):
                raise
            return renewal.session

    async def end(self, session: Session) -> Session:
        """End a session on all replicas, and return its last state before.

        Without an answer of the cluster it is ended here only; that is logged.
        """
        last = session
        if self.provider is not None and session.refresh_token is not None:
            last = self._renewal(session).session
            try:
                last = sessions.newer(last, await self.shared.end(last))
            except cluster_errors.REPORTABLE_ERRORS as error:
                _log.error("a session was ended on this replica only", error=str(error))
            self._renewal(sessions.ended(last, self.clock()))
        return last

    async def finish(self) -> None:
        """Wait for the renewals under way, so that no refresh token is used and then lost."""
        tasks = [renewal.task for renewal in self._renewals.values() if renewal.task]
        if tasks:
            await asyncio.wait(tasks, timeout=_FINISH_SECONDS)

    def _renewal(self, session: Session) -> _Renewal:
        renewal = self._renewals.pop(session.id, None) or _Renewal(session)
        renewal.session = sessions.newer(renewal.session, session)
        if renewal.session.refresh_token is not None or renewal.session.generation:
            self._renewals[session.id] = renewal
        while len(self._renewals) > _MAX_SESSIONS:
            self._renewals.popitem(last=False)
        return renewal

    async def _attempt(self, provider: Provider, renewal: _Renewal) -> Session:
        if renewal.failure is not None and self.clock() < renewal.retry_at:
            raise renewal.failure
        if renewal.task is None:
            renewal.task = asyncio.create_task(self._renew(provider, renewal))
            renewal.task.add_done_callback(lambda done: _finish(renewal, done))
        return await asyncio.shield(renewal.task)  # a caller who leaves must not break it off

    async def _renew(self, provider: Provider, renewal: _Renewal) -> Session:
        try:
            turn = await self.shared.take_turn(renewal.session)
            renewal.session = turn.session
            if turn.lease is not None:
                try:
                    renewal.session = await self._next(provider, turn.session)
                finally:  # the next attempt, at any replica, need not wait
                    await self._share(provider, turn, renewal)
        except cluster_errors.REPORTABLE_ERRORS as error:
            renewal.failure = cluster_errors.as_problem(error)
            renewal.retry_at = self.clock() + _RETRY_SECONDS
            raise renewal.failure from error
        renewal.failure = None
        self._sweep()
        return renewal.session

    async def _share(self, provider: Provider, turn: Turn, renewal: _Renewal) -> None:
        """End the turn with the session's new state. If it was ended meanwhile, it stays so."""
        refresh_token = renewal.session.refresh_token
        with suppress(*cluster_errors.REPORTABLE_ERRORS):
            renewal.session = await self.shared.end_turn(turn, renewal.session)
            if refresh_token is not None and renewal.session.refresh_token is None:
                await provider.revoke(refresh_token)

    async def _next(self, provider: Provider, session: Session) -> Session:
        """Return the renewed session. A refusal is final: the session then ends with its token."""
        assert session.refresh_token is not None  # noqa: S101  (else it is not due)
        next_state = replace(session, generation=session.generation + 1)
        try:
            tokens = await provider.renew(session.refresh_token)
        except ProblemError as problem:
            if problem.status != 401:
                raise
            return replace(next_state, refresh_token=None)
        if not id_token.is_for_same_person(session.token, tokens.id_token):
            _log.error("the identity provider renewed a session for somebody else")
            return replace(next_state, refresh_token=None)
        return replace(
            next_state,
            token=tokens.id_token,
            token_since=int(self.clock()),
            refresh_token=tokens.refresh_token,
        )

    def _sweep(self) -> None:
        """Delete what is left of former sessions, now and then, while no request waits for it."""
        if self.clock() >= self._sweep_at:
            self._sweep_at = self.clock() + _SWEEP_SECONDS
            self._sweeping = asyncio.create_task(self._delete_ended())

    async def _delete_ended(self) -> None:
        try:
            await self.shared.delete_ended()
        except cluster_errors.REPORTABLE_ERRORS as error:
            _log.warning("ended sessions are not deleted yet", error=str(error))


def _finish(renewal: _Renewal, done: "asyncio.Task[Session]") -> None:
    renewal.task = None
    if not done.cancelled():
        done.exception()  # all who waited got it; without this asyncio would log it, too
