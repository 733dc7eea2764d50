"""The last state of each renewed session, encrypted in a Lease, so that all replicas know it.

A replica takes the Lease before it uses a refresh token: many providers end the whole session when
one is used twice. The others wait for the result, or go on with the token while it is good. A
browser that missed a response, or a stream that began long ago, comes with an old state and finds
the last one here.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from aichat_workspace.api.auth.sessions import session as sessions
from aichat_workspace.api.auth.sessions.encryption import Keys
from aichat_workspace.api.auth.sessions.session import Session
from aichat_workspace.api.web.responses import problems
from aichat_workspace.domain import names
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.errors import ConflictError, ForbiddenError, NotFoundError
from aichat_workspace.kube.leases.lease import LEASES
from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.timestamps import format_micro_time

PREFIX: Final = "aichat-session-"
"""Of the Leases' names; the admission policy keeps the API from all others."""
LABELS: Final = {names.MANAGED_BY_LABEL: names.API, names.COMPONENT_LABEL: "session"}
_SESSION: Final = f"{names.GROUP}/session"
_ENDS_AT: Final = f"{names.GROUP}/ends-at"
_HOLD_SECONDS: Final = 60  # longer than a renewal; after a crash another replica goes on
_PATIENCE_SECONDS: Final = 15.0
_LOOK_AGAIN_SECONDS: Final = 0.2
_ATTEMPTS: Final = 5


class Leases(Protocol):
    """The methods of `kube.client.Client` that are needed here, with the same errors."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json: ...

    async def create(self, resource: Resource, body: Json, *, field_manager: str) -> Json: ...

    async def replace(self, resource: Resource, body: Json, *, field_manager: str) -> Json: ...

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str | None
    ) -> Json | None: ...

    def list_pages(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = ""
    ) -> AsyncIterator[Json]: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to renew a session."""

    session: Session
    """Its last state."""
    lease: Json | None
    """The Lease that this replica has taken; None if another one has renewed the session."""


@dataclass(frozen=True, slots=True)
class SharedSessions:
    """Reads and writes sessions' Leases. Each method raises ApiError, UnreachableError, or
    ProblemError (503) without a key; a retry may help."""

    leases: Leases
    keys: Keys
    identity: str
    """This process's alone."""
    clock: Callable[[], float] = field(default=time.time)

    async def take_turn(self, session: Session) -> Turn:
        """Wait for the turn to renew a session that is due.

        Raises ProblemError (503) when another replica takes too long.
        """
        deadline = self.clock() + _PATIENCE_SECONDS
        while True:
            lease = await self._read(session)
            last = await self._last(session, lease)
            if not sessions.is_due(last, self.clock()):
                return Turn(last, None)
            if lease is None or not self._is_held(lease):
                with suppress(ConflictError):  # another replica was faster
                    return Turn(last, await self._write(lease, last, self.identity))
            elif self.clock() > deadline:
                raise problems.unavailable("Another replica is renewing the session. Try again.")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def end_turn(self, turn: Turn, session: Session) -> Session:
        """Share the new state, and return the last one: the session may have been ended."""
        try:
            await self._write(turn.lease, session, "")
        except ConflictError:
            return await self._last(session, await self._read(session))
        return session

    async def end(self, session: Session) -> Session:
        """End a session on all replicas, and return its last state before."""
        for attempt in range(_ATTEMPTS):
            lease = await self._read(session)
            last = await self._last(session, lease)
            try:
                # Kept as long as copies of the cookies could be renewed without it.
                ended = sessions.ended(last, self.clock())
                await self._write(lease, ended, "", last.ends_at)
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
        return last

    async def delete_ended(self) -> None:
        """Delete the Leases of sessions that are over."""
        selector = ",".join(f"{name}={value}" for name, value in LABELS.items())
        async for page in self.leases.list_pages(
            LEASES, names.SYSTEM_NAMESPACE, label_selector=selector
        ):
            for lease in page["items"]:
                metadata = lease["metadata"]
                if int(_annotations(lease).get(_ENDS_AT, 0)) <= self.clock():
                    await self.leases.delete(
                        LEASES, metadata["name"], names.SYSTEM_NAMESPACE, uid=metadata["uid"]
                    )

    async def _read(self, session: Session) -> Json | None:
        try:
            return await self.leases.get(LEASES, _name(session), names.SYSTEM_NAMESPACE)
        except NotFoundError:
            return None
        except ForbiddenError:
            if not self.keys.dev:
                raise
            return None

    async def _last(self, session: Session, lease: Json | None) -> Session:
        text = _annotations(lease or {}).get(_SESSION, "")
        shared = sessions.decrypt(await self.keys.cipher(), text)
        return session if shared is None else sessions.newer(session, shared)

    async def _write(
        self, lease: Json | None, session: Session, holder: str, kept_until: int | None = None
    ) -> Json:
        """Write the state, kept until its end or for longer.

        On a laptop without the right to, it stays in this process.
        """
        metadata = (lease or {}).get("metadata") or {
            "name": _name(session),
            "namespace": names.SYSTEM_NAMESPACE,
            "labels": LABELS,
        }
        annotations = {
            _SESSION: sessions.encrypt(await self.keys.cipher(), session),
            _ENDS_AT: str(kept_until or session.ends_at),
        }
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {**metadata, "annotations": annotations},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": _HOLD_SECONDS,
                "renewTime": format_micro_time(datetime.fromtimestamp(self.clock(), UTC)),
            },
        }
        write = self.leases.replace if lease else self.leases.create
        try:
            return await write(LEASES, body, field_manager=names.API)
        except (NotFoundError, ForbiddenError):
            if not self.keys.dev:
                raise
            return {}

    def _is_held(self, lease: Json) -> bool:
        spec: dict[str, Any] = lease.get("spec") or {}
        since = datetime.fromisoformat(spec.get("renewTime") or "1970-01-01T00:00:00Z")
        now = datetime.fromtimestamp(self.clock(), UTC)
        return bool(spec.get("holderIdentity")) and now < since + timedelta(seconds=_HOLD_SECONDS)


def _name(session: Session) -> str:
    """Return the Lease's name, which does not tell the session's id."""
    return f"{PREFIX}{hashlib.sha256(session.id.encode()).hexdigest()[:32]}"


def _annotations(lease: Json) -> dict[str, str]:
    return (lease.get("metadata") or {}).get("annotations") or {}
