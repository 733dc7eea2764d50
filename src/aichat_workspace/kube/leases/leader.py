"""One leader among replicas, by a Lease.

The rules are client-go's (https://pkg.go.dev/k8s.io/client-go/tools/leaderelection), stricter in
four points:

- A leader's time counts from when it sent its last renewal, not from the response.
- It steps down as soon as it reads another holder.
- Candidates wait out a lease that was deleted by hand, since its holder may be at work.
- The work ends before the lease is released.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, Protocol, TypeVar

import structlog

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.errors import ApiError, ConflictError, NotFoundError, UnreachableError
from aichat_workspace.kube.leases.lease import (
    LEASES,
    Decision,
    LeaseConfig,
    LeaseObservation,
    claimed_lease,
    decide,
    observe,
    released_lease,
)
from aichat_workspace.kube.objects import Json

# A candidate reads a little more often than the leader renews, so that a takeover takes no longer
# than one retry period even when responses are slow.
_STANDBY_SHARE: Final = 0.8
_RELEASE_RETRY_SECONDS: Final = 0.2
_log: Final = structlog.get_logger()

T = TypeVar("T")


class LeadershipLostError(Exception):
    """Another replica leads, or may soon. The work was cancelled: end the process."""


class Leases(Protocol):
    """The methods of `kube.client.Client` that an election needs, with the same errors."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json: ...

    async def create(self, resource: Resource, body: Json, *, field_manager: str) -> Json: ...

    async def replace(self, resource: Resource, body: Json, *, field_manager: str) -> Json: ...


class Election:
    """One process's part in an election, for one `run_as_leader`.

    `clock` counts seconds and never runs back; `wall_time` only fills the Lease's times.
    `on_change` is called with True before the work starts and with False after it has ended.
    """

    def __init__(
        self,
        leases: Leases,
        config: LeaseConfig,
        *,
        on_change: Callable[[bool], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        wall_time: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.config = config
        self.on_change = on_change
        self._leases = leases
        self._clock = clock
        self._wall_time = wall_time
        self._sleep = sleep
        self._observation: LeaseObservation | None = None
        self._leads_until: float | None = None
        self._is_current = False  # the observation is our own write: no need to read again
        self._may_be_ours = False  # the lease may carry our name, if only by a write in doubt
        self._last_logged: tuple[str, str] | None = None

    @property
    def is_leader(self) -> bool:
        """Whether a write is safe now. It also turns false, with no help from a task, in a process
        that was stopped (SIGSTOP) and continued."""
        return self._remaining_seconds() > 0

    async def acquire(self) -> None:
        """Wait until the lease is ours, through every fault."""
        while True:
            await self._attempt()
            if self.is_leader:
                return
            await self._sleep(self._standby_seconds())

    async def renew_until_lost(self) -> NoReturn:
        """Renew until the lease is lost. Raises LeadershipLostError at the latest `renew_seconds`
        after the last successful renewal was sent."""
        while True:
            await self._sleep(min(self.config.retry_seconds, self._remaining_seconds()))
            if not self.is_leader:
                raise self._lost(f"not renewed for {self.config.renew_seconds} s")
            await self._attempt()

    async def release(self) -> None:
        """Release the lease if it is ours; call it after the work has ended. Raises nothing for a
        fault: the lease then expires."""
        self._leads_until = None
        if not self._may_be_ours:
            return
        try:
            async with asyncio.timeout(self.config.request_seconds):
                while not await self._try_release():
                    await self._sleep(_RELEASE_RETRY_SECONDS)
        except TimeoutError:
            self._log_once("lease not released: it has to run out", level="warning")

    def abandon(self) -> None:
        """Never release the lease: the work has not ended, so it has to expire."""
        self._may_be_ours = False

    async def _attempt(self) -> None:
        """Try once to take or renew the lease. Log a fault; the next attempt retries."""
        limit_seconds = self.config.request_seconds
        if self._leads_until is not None:
            limit_seconds = min(limit_seconds, self._remaining_seconds())
        try:
            async with asyncio.timeout(limit_seconds):
                await self._claim()
        except TimeoutError:
            self._log_once("lease request failed", "timed out", level="warning")
        except (ApiError, UnreachableError) as error:
            self._log_fault(error)

    async def _claim(self) -> None:
        if self._is_current and self._observation:
            try:
                return await self._act(self._observation)
            except (ConflictError, NotFoundError) as error:  # edited or deleted by another client
                self._log_fault(error)
        return await self._act(await self._read())

    async def _act(self, observation: LeaseObservation) -> None:
        match decide(observation, self.config.identity, self._clock(), self._leads_until):
            case Decision.WAIT:
                self._log_once("standing by", observation.holder, level="info")
            case Decision.STEP_DOWN:
                raise self._lost(f"overdue, or taken: the holder is now {observation.holder!r}")
            case Decision.CREATE:
                await self._write(observation, self._leases.create)
            case Decision.TAKE | Decision.RENEW:
                await self._write(observation, self._leases.replace)

    async def _write(
        self, observation: LeaseObservation, verb: Callable[..., Awaitable[Json]]
    ) -> None:
        self._is_current, self._may_be_ours = False, True
        body = claimed_lease(observation, self.config, self._wall_time())
        sent = self._clock()
        lease = await verb(LEASES, body, field_manager=self.config.field_manager)
        self._observation = observe(observation, lease, self._clock(), self.config)
        self._leads_until = sent + self.config.renew_seconds
        self._is_current = True
        self._log_once("leading", level="info")

    async def _read(self) -> LeaseObservation:
        lease: Json | None
        try:
            lease = await self._leases.get(LEASES, self.config.name, self.config.namespace)
        except NotFoundError:
            lease = None
        self._observation = observe(self._observation, lease, self._clock(), self.config)
        return self._observation

    async def _try_release(self) -> bool:
        """Release the lease if it is ours. Returns False after a fault."""
        try:
            observation = self._observation
            if observation is None or not self._is_current:
                observation = await self._read()
            self._is_current = False
            if observation.lease is not None and observation.holder == self.config.identity:
                body = released_lease(observation.lease, self._wall_time())
                await self._leases.replace(LEASES, body, field_manager=self.config.field_manager)
                self._log_once("lease released", level="info")
        except (ApiError, UnreachableError) as error:
            self._log_fault(error)
            return False
        self._may_be_ours = False
        return True

    def _remaining_seconds(self) -> float:
        return 0.0 if self._leads_until is None else max(0.0, self._leads_until - self._clock())

    def _standby_seconds(self) -> float:
        """Return the time until the next attempt, which is not after the lease's expiry."""
        usual = self.config.retry_seconds * _STANDBY_SHARE
        if self._observation is None:
            return usual
        until_expiry = self._observation.held_until_seconds - self._clock()
        return min(usual, until_expiry) if until_expiry > 0 else usual

    def _lost(self, reason: str) -> LeadershipLostError:
        self._leads_until = None
        self.abandon()
        self._log_once("leadership lost", reason, level="warning")
        return LeadershipLostError(f"lease {self.config.namespace}/{self.config.name}: {reason}")

    def _log_fault(self, error: ApiError | UnreachableError) -> None:
        kind = f"{type(error).__name__} {getattr(error, 'status', '')}".strip()
        self._log_once("lease request failed", kind, level="warning", error=str(error))

    def _log_once(self, event: str, about: str = "", *, level: str, **details: str) -> None:
        """Log an event, unless it is the last one again."""
        if self._last_logged == (event, about):
            return
        self._last_logged = event, about
        fields = {"about": about, **details} if about else details
        getattr(_log, level)(event, lease=self.config.name, identity=self.config.identity, **fields)


async def run_as_leader(election: Election, lead: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Wait for the lease, run `lead` while it is ours, release it. Return the result of `lead`.

    Raises the error of `lead`, and LeadershipLostError after cancelling it. `lead` then has until
    the lease's expiry to clean up; after that only the end of the process (`os._exit`) stops it.
    When cancelled (SIGTERM), keep the lease until `lead` has ended."""
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
    renewal = asyncio.create_task(election.renew_until_lost())
    try:
        await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _stop(election, work, renewal)
    if not renewal.cancelled():
        renewal.result()  # raises why leadership was lost
    return work.result()


async def _stop(election: Election, work: asyncio.Task[T], renewal: asyncio.Task[NoReturn]) -> None:
    """Cancel the work and renew while it cleans up; once the lease is lost, only until its
    expiry."""
    is_cut_short = work.cancel()
    try:
        await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            grace_seconds = election.config.lease_seconds - election.config.renew_seconds
            await asyncio.wait({work}, timeout=grace_seconds)
    finally:
        renewal.cancel()
        if not work.done():
            election.abandon()
            _log.error("the leader's work does not end", lease=election.config.name)
    await asyncio.gather(renewal, return_exceptions=True)
    if is_cut_short and work.done() and not work.cancelled() and (error := work.exception()):
        _log.error("the leader's work failed while it ended", error=repr(error))
