"""Sessions are renewed ahead of time: with a quarter of the token's life left.

A refresh token may work only once, and a second use may end the whole session (RFC 9700 4.14.2).
So all requests and streams of a browser share one renewal and then its result.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from aichat_workspace.api.auth import id_token
from aichat_workspace.api.auth import session as sessions
from aichat_workspace.api.auth.provider import Provider
from aichat_workspace.api.auth.session import Session
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.problems import ProblemError

_MAX_SESSIONS: Final = 10_000
_RETRY_SECONDS: Final = 5.0
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


@dataclass(frozen=True, slots=True)
class Renewals:
    """Renews sessions, and keeps their last state for those who come with an older one."""

    provider: Provider | None
    clock: Callable[[], float] = time.time
    _renewals: OrderedDict[str, _Renewal] = field(default_factory=OrderedDict)

    async def current(self, session: Session) -> Session:
        """Return the session in its last state, renewed if that is due.

        Raises ProblemError (502) when the token has expired and the provider does not answer; a
        retry may help.
        """
        if session.refresh_token is None or self.provider is None:
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

    def forget(self, session: Session) -> Session:
        """End a session here, and return its last state."""
        renewal = self._renewals.get(session.id)
        last = session if renewal is None else _newer(renewal.session, session)
        ended = replace(last, refresh_token=None, ends_at=int(self.clock()))
        self._renewals[session.id] = _Renewal(ended)
        return last

    def _renewal(self, session: Session) -> _Renewal:
        renewal = self._renewals.pop(session.id, None) or _Renewal(session)
        renewal.session = _newer(renewal.session, session)
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
        """Renew the session. A refusal is final: the session ends with its token."""
        session = renewal.session
        assert session.refresh_token is not None  # noqa: S101  (else it is not due)
        try:
            tokens = await provider.renew(session.refresh_token)
            if not id_token.is_for_same_person(session.token, tokens.id_token):
                raise problems.unauthenticated(
                    "The identity provider renewed the session for somebody else. Sign in again."
                )
        except ProblemError as problem:
            if problem.status == 401:
                renewal.session = replace(session, refresh_token=None)
                return renewal.session
            renewal.failure, renewal.retry_at = problem, self.clock() + _RETRY_SECONDS
            raise
        renewal.failure = None
        renewal.session = replace(
            session,
            token=tokens.id_token,
            token_since=int(self.clock()),
            refresh_token=tokens.refresh_token,
        )
        return renewal.session


def _newer(known: Session, session: Session) -> Session:
    """Return the newer state; one that was ended stays so."""
    is_newer = session.token_since > known.token_since and known.ends_at >= session.ends_at
    return session if is_newer else known


def _finish(renewal: _Renewal, done: "asyncio.Task[Session]") -> None:
    renewal.task = None
    if not done.cancelled():
        done.exception()  # all who waited got it; without this asyncio would log it, too
