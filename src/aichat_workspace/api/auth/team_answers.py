"""The teams in which one caller may use one verb, as far as they are known."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

PERMISSION_TTL_SECONDS: Final = 10.0
REFUSAL_TTL_SECONDS: Final = 30.0
_RENEW_SHARE: Final = 0.6
_MAX_ANSWERS: Final = 200_000
K = TypeVar("K", bound=Hashable)
Review = Callable[[str], Awaitable[bool]]


@dataclass(slots=True)
class TeamAnswers:
    """Answers by team. Most people are in few of many teams, so most answers are refusals: they are
    kept for longer, and a new role shows within half a minute.
    """

    workers: int
    """Reviews at the same time."""
    clock: Callable[[], float]
    reviewed_at: dict[str, float] = field(default_factory=dict)
    """When each team was reviewed."""
    _allowed: set[str] = field(default_factory=set)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _renewal: "asyncio.Task[None] | None" = None

    async def allowed(self, teams: Iterable[str], review: Review) -> frozenset[str]:
        """Return those of the teams in which the caller may, and ask for what is not known.

        What was answered stays known when the call is cancelled or fails, and a call that waits for
        the same teams asks for them once. An answer near its expiry is renewed in the background.
        Raises what `review` raises.
        """
        teams = frozenset(teams)
        now = self.clock()
        if next(self._older(teams, now, 1.0), None) is not None:
            await self._ask(teams, review, 1.0)
        elif self._renewal is None and next(self._older(teams, now, _RENEW_SHARE), None):
            self._renewal = asyncio.create_task(self._ask(teams, review, _RENEW_SHARE))
            self._renewal.add_done_callback(self._end_renewal)
        return teams & self._allowed

    async def _ask(self, teams: frozenset[str], review: Review, share: float) -> None:
        """Review what is older than a share of its time, by a few workers."""
        async with self._lock:
            now = self.clock()
            self._forget_expired(now)
            unknown = self._older(sorted(teams), now, share)

            async def work() -> None:
                for team in unknown:
                    is_allowed = await review(team)
                    self.reviewed_at[team] = now
                    (self._allowed.add if is_allowed else self._allowed.discard)(team)

            await _gather_or_cancel(work() for _ in range(self.workers))

    def _older(self, teams: Iterable[str], now: float, share: float) -> Iterator[str]:
        """Yield the teams whose answer is missing or older than a share of its time."""
        for team in teams:
            ttl = PERMISSION_TTL_SECONDS if team in self._allowed else REFUSAL_TTL_SECONDS
            if now - self.reviewed_at.get(team, float("-inf")) >= ttl * share:
                yield team

    def _forget_expired(self, now: float) -> None:
        for team in list(self._older(list(self.reviewed_at), now, 1.0)):
            del self.reviewed_at[team]
            self._allowed.discard(team)

    def _end_renewal(self, renewal: "asyncio.Task[None]") -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # the next call asks again, and gets it


@dataclass(slots=True)
class TeamAnswersCache(Generic[K]):
    """Keeps the answers of those who asked last, and at most some of all together."""

    workers: int
    """Reviews of one caller at the same time."""
    clock: Callable[[], float] = time.monotonic
    max_answers: int = _MAX_ANSWERS
    _answers: OrderedDict[K, TeamAnswers] = field(default_factory=OrderedDict)
    _counted: dict[K, int] = field(default_factory=dict)
    _total: int = 0

    async def allowed(self, key: K, teams: Iterable[str], review: Review) -> frozenset[str]:
        """Return those of the teams in which the caller may. Raises what `review` raises."""
        answers = self._answers.pop(key, None) or TeamAnswers(self.workers, self.clock)
        self._answers[key] = answers
        try:
            return await answers.allowed(teams, review)
        finally:
            self._count(key, answers)

    def _count(self, key: K, answers: TeamAnswers) -> None:
        if self._answers.get(key) is answers:
            self._total += len(answers.reviewed_at) - self._counted.get(key, 0)
            self._counted[key] = len(answers.reviewed_at)
        while self._total > self.max_answers and len(self._answers) > 1:
            oldest, _ = self._answers.popitem(last=False)
            self._total -= self._counted.pop(oldest, 0)


async def _gather_or_cancel(workers: Iterable[Awaitable[None]]) -> None:
    """Wait for all workers; end them all with the first that fails, or with this call."""
    tasks = [asyncio.ensure_future(worker) for worker in workers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
