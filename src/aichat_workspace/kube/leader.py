"""One leader among replicas, by a Lease.

The rules are client-go's (https://pkg.go.dev/k8s.io/client-go/tools/leaderelection), stricter in
four points. A leader's time counts from when its last renewal was sent, not answered. It steps down
as soon as it sees another holder. A lease that was deleted by hand is still waited out by the
others, since its holder may be at work. And the work has ended before the lease is released.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, Protocol, TypeVar

import structlog

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.errors import ApiError, ConflictError, NotFoundError, UnreachableError
from aichat_workspace.kube.lease import (
    LEASES,
    Decision,
    LeaseConfig,
    LeaseObservation,
    claimed,
    decide,
    observe,
    released,
)
from aichat_workspace.kube.objects import Json

# A candidate asks a little more often than the leader renews, so that a takeover takes no longer
# than one retry period even when the answers are slow.
_STANDBY_SHARE: Final = 0.8
_RELEASE_RETRY_SECONDS: Final = 0.2
_log: Final = structlog.get_logger()

T = TypeVar("T")


class LeadershipLostError(Exception):
    """Another replica leads, or may soon. The work was cancelled; end the process."""


class Leases(Protocol):
    """The part of `kube.client.Client` that an election needs; it raises the same errors."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json: ...

    async def create(self, resource: Resource, body: Json, *, field_manager: str) -> Json: ...

    async def replace(self, resource: Resource, body: Json, *, field_manager: str) -> Json: ...


class Election:
    """One process's part in an election, for one `run_as_leader`.

    `clock` counts seconds and never runs back; `wall_time` only fills the Lease's times.
    `on_change` is told True before the work starts and False after it has ended.
    """

    def __init__(
        self,
        leases: Leases,
        terms: LeaseConfig,
        *,
        on_change: Callable[[bool], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        wall_time: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.terms = terms
        self.on_change = on_change
        self._leases = leases
        self._clock = clock
        self._wall_time = wall_time
        self._sleep = sleep
        self._seen: LeaseObservation | None = None
        self._leads_until: float | None = None
        self._written_last = False  # what was seen last is our own write: no need to read again
        self._maybe_ours = False  # the lease may carry our name, if only by a write in doubt
        self._told: tuple[str, str] | None = None

    @property
    def leads(self) -> bool:
        """Whether a write is safe now. It also turns false, with no help from a task, in a process
        that was stopped (SIGSTOP) and continued."""
        return self._left_seconds() > 0

    async def acquire(self) -> None:
        """Stand by until the lease is ours, through every fault."""
        while True:
            await self._attempt()
            if self.leads:
                return
            await self._sleep(self._standby_seconds())

    async def renew_until_lost(self) -> NoReturn:
        """Renew for ever. Raises LeadershipLostError at the latest `renew_seconds` after the last
        renewal that went well was sent."""
        while True:
            await self._sleep(min(self.terms.retry_seconds, self._left_seconds()))
            if not self.leads:
                raise self._lost(f"not renewed for {self.terms.renew_seconds} s")
            await self._attempt()

    async def release(self) -> None:
        """Give the lease back if it is ours; call it after the work has ended. Raises nothing for
        a fault: the lease then runs out by itself."""
        self._leads_until = None
        if not self._maybe_ours:
            return
        try:
            async with asyncio.timeout(self.terms.request_seconds):
                while not await self._let_go():
                    await self._sleep(_RELEASE_RETRY_SECONDS)
        except TimeoutError:
            self._tell("lease not released: it has to run out", level="warning")

    def abandon(self) -> None:
        """The work could not be ended: nobody may take over before the lease has run out."""
        self._maybe_ours = False

    async def _attempt(self) -> None:
        """Try once to have or keep the lease. A fault is told, and the next attempt's to mend."""
        limit_seconds = self.terms.request_seconds
        if self._leads_until is not None:
            limit_seconds = min(limit_seconds, self._left_seconds())
        try:
            async with asyncio.timeout(limit_seconds):
                await self._claim()
        except TimeoutError:
            self._tell("lease request failed", "timed out", level="warning")
        except (ApiError, UnreachableError) as error:
            self._log_fault(error)

    async def _claim(self) -> None:
        if self._written_last and self._seen:
            try:
                return await self._act(self._seen)
            except (ConflictError, NotFoundError) as error:  # edited or deleted by somebody else
                self._log_fault(error)
        return await self._act(await self._read())

    async def _act(self, seen: LeaseObservation) -> None:
        match decide(seen, self.terms.identity, self._clock(), self._leads_until):
            case Decision.WAIT:
                self._tell("standing by", seen.holder, level="info")
            case Decision.STEP_DOWN:
                raise self._lost(f"overdue, or taken: the holder is now {seen.holder!r}")
            case Decision.CREATE:
                await self._write(seen, self._leases.create)
            case Decision.TAKE | Decision.RENEW:
                await self._write(seen, self._leases.replace)

    async def _write(self, seen: LeaseObservation, verb: Callable[..., Awaitable[Json]]) -> None:
        self._written_last, self._maybe_ours = False, True
        body = claimed(seen, self.terms, self._wall_time())
        sent = self._clock()
        lease = await verb(LEASES, body, field_manager=self.terms.field_manager)
        self._seen = observe(seen, lease, self._clock(), self.terms)
        self._leads_until = sent + self.terms.renew_seconds
        self._written_last = True
        self._tell("leading", level="info")

    async def _read(self) -> LeaseObservation:
        lease: Json | None
        try:
            lease = await self._leases.get(LEASES, self.terms.name, self.terms.namespace)
        except NotFoundError:
            lease = None
        self._seen = observe(self._seen, lease, self._clock(), self.terms)
        return self._seen

    async def _let_go(self) -> bool:
        """Whether nothing more is to be done."""
        try:
            seen = self._seen if self._written_last and self._seen else await self._read()
            self._written_last = False
            if seen.lease is not None and seen.holder == self.terms.identity:
                body = released(seen.lease, self._wall_time())
                await self._leases.replace(LEASES, body, field_manager=self.terms.field_manager)
                self._tell("lease released", level="info")
        except (ApiError, UnreachableError) as error:
            self._log_fault(error)
            return False
        self._maybe_ours = False
        return True

    def _left_seconds(self) -> float:
        return 0.0 if self._leads_until is None else max(0.0, self._leads_until - self._clock())

    def _standby_seconds(self) -> float:
        """Until the next look, which is no later than the moment at which the lease runs out."""
        usual = self.terms.retry_seconds * _STANDBY_SHARE
        held = self._seen.held_until_seconds - self._clock() if self._seen else 0.0
        return min(usual, held) if held > 0 else usual

    def _lost(self, why: str) -> LeadershipLostError:
        self._leads_until = None
        self.abandon()
        self._tell("leadership lost", why, level="warning")
        return LeadershipLostError(f"lease {self.terms.namespace}/{self.terms.name}: {why}")

    def _log_fault(self, error: ApiError | UnreachableError) -> None:
        kind = f"{type(error).__name__} {getattr(error, 'status', '')}".strip()
        self._tell("lease request failed", kind, level="warning", error=str(error))

    def _tell(self, event: str, about: str = "", *, level: str, **details: str) -> None:
        """Log an event, but not again while nothing else happens."""
        if self._told == (event, about):
            return
        self._told = event, about
        told = {"about": about, **details} if about else details
        getattr(_log, level)(event, lease=self.terms.name, identity=self.terms.identity, **told)


async def run_as_leader(election: Election, lead: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Wait for the lease, run `lead` while it is ours, give it back; returns what `lead` returns.

    Raises what `lead` raises, and LeadershipLostError after cancelling it. `lead` then has until
    the lease ends to clean up; if it takes longer it is left behind, and only the end of the
    process (`os._exit`) stops it. When cancelled (SIGTERM) the lease is kept until `lead` has
    ended."""
    try:
        await election.acquire()
        election.on_change(True)
        try:
            return await _work(election, lead)
        finally:
            election.on_change(False)
    finally:
        await election.release()


async def _work(election: Election, lead: Callable[[], Coroutine[Any, Any, T]]) -> T:
    work = asyncio.create_task(lead())
    hold = asyncio.create_task(election.renew_until_lost())
    try:
        await asyncio.wait({work, hold}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _stop(election, work, hold)
    if not hold.cancelled():
        hold.result()  # raises why leadership was lost
    return work.result()


async def _stop(election: Election, work: asyncio.Task[T], hold: asyncio.Task[NoReturn]) -> None:
    """End the work, renewing while it cleans up; once the lease is lost, only until it ends."""
    cut_short = work.cancel()
    try:
        await asyncio.wait({work, hold}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            grace_seconds = election.terms.lease_seconds - election.terms.renew_seconds
            await asyncio.wait({work}, timeout=grace_seconds)
    finally:
        hold.cancel()
        if not work.done():
            election.abandon()
            _log.error("the leader's work does not end", lease=election.terms.name)
    await asyncio.gather(hold, return_exceptions=True)
    if cut_short and work.done() and not work.cancelled() and (error := work.exception()):
        _log.error("the leader's work failed while it ended", error=repr(error))
