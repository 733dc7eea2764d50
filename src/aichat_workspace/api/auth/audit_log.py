"""The audit log: one line for each decision, allowed or refused.

A request's line is written when its answer begins. Who asks, how they signed in and what it is
about is noted while the request is served.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api.web.limits.body_limits import API_PREFIX
from aichat_workspace.kube.errors import ApiError, UnreachableError

_REFUSALS: Final = 20
_WINDOW_SECONDS: Final = 10.0
_MAX_SOURCES: Final = 10_000
_log: Final = structlog.get_logger()
_notes: ContextVar[dict[str, Any] | None] = ContextVar("audit_notes", default=None)


def note(**fields: Any) -> None:
    """Add fields to the line of the request that this code runs for; empty ones are left out."""
    notes = _notes.get()
    if notes is not None:
        notes.update({name: value for name, value in fields.items() if value})


@contextmanager
def collect_notes() -> Iterator[dict[str, Any]]:
    """Collect what is noted inside, also by tasks that are started inside."""
    notes: dict[str, Any] = {}
    reset = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(reset)


@contextmanager
def note_unknown_outcome(*, dry_run: bool = False) -> Iterator[None]:
    """Note a write whose reply was lost, so its outcome is unknown; a dry run has none."""
    try:
        yield
    except (ApiError, UnreachableError) as error:
        if not dry_run and (isinstance(error, UnreachableError) or error.status >= 500):
            note(note="it is unknown whether it was carried out")
        raise


@dataclass(slots=True)
class RefusalSampler:
    """Limits the refusals that are logged: a flood of them must not flood the log."""

    clock: Callable[[], float] = time.monotonic
    _windows: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)
    """By source: when its window began, and its refusals since."""

    def take(self, source: str) -> int | None:
        """Return how many of the source's refusals were left out before; None to leave this out.

        The first 20 of ten seconds are logged.
        """
        began, count = self._windows.pop(source, (self.clock(), 0))
        is_over = self.clock() >= began + _WINDOW_SECONDS
        self._windows[source] = (self.clock(), 1) if is_over else (began, count + 1)
        if len(self._windows) > _MAX_SOURCES:
            self._windows.popitem(last=False)
        if is_over:
            return max(count - _REFUSALS, 0)
        return 0 if count < _REFUSALS else None


@dataclass(frozen=True, slots=True)
class AuditMiddleware:
    """ASGI middleware: writes the line of each decision, when its answer begins."""

    app: ASGIApp
    address: Callable[[HTTPConnection], str]
    """Tells the address that a request comes from."""
    refusals: RefusalSampler = field(default_factory=RefusalSampler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with collect_notes() as notes:

            async def auditing_send(message: Message) -> None:
                if message["type"] == "http.response.start" and _is_decision(scope, message):
                    self._write(scope, notes, message["status"])
                await send(message)

            await self.app(scope, receive, auditing_send)

    def _write(self, scope: Scope, notes: dict[str, Any], status: int) -> None:
        action = getattr(scope.get("route"), "name", "")
        address = self.address(HTTPConnection(scope))
        user = notes.get("user", "")
        unlogged = self.refusals.take(user or address) if status >= 400 else 0
        if unlogged is None:
            return
        more = {name: value for name, value in notes.items() if name != "user"}
        more |= {"unlogged": unlogged} if unlogged else {}
        _log.info("audit", user=user, action=action, outcome=status, address=address, **more)


def _is_decision(scope: Scope, message: Message) -> bool:
    """Return whether this is the API's answer, or the refusal of a page's form before its route.

    A page itself decides nothing: the calls that it makes do.
    """
    if scope["path"].startswith(API_PREFIX):
        return True
    return scope["method"] == "POST" and message["status"] >= 400 and "route" not in scope
