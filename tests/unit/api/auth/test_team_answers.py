"""Which teams are asked for, by how many at the same time, and what is kept."""

import asyncio
from dataclasses import dataclass, field

import pytest

from aichat_workspace.api.auth.team_answers import TeamAnswersCache
from tests.unit.api.clock import FakeClock
from tests.unit.waiting import turns

TEAMS = [f"team-{number:03}" for number in range(50)]


@dataclass
class Questions:
    """Allows the first team only; answers `remaining` questions more, and then waits or fails."""

    remaining: int = 1_000_000
    error: Exception | None = None
    teams: list[str] = field(default_factory=list)
    open: int = 0
    most: int = 0

    async def __call__(self, team: str) -> bool:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            self.remaining -= 1
            await asyncio.sleep(0)
            if self.remaining < 0:
                if self.error:
                    raise self.error
                await asyncio.sleep(60)
            self.teams.append(team)
            return team == TEAMS[0]
        finally:
            self.open -= 1


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> TeamAnswersCache[str]:
    return TeamAnswersCache(8, clock)


async def test_a_few_workers_ask_for_many_teams(cache: TeamAnswersCache[str]) -> None:
    reviews = Questions()
    tasks = len(asyncio.all_tasks())
    asking = asyncio.create_task(cache.allowed("ann", TEAMS, reviews))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) <= tasks + 1 + 8
    assert await asking == {TEAMS[0]}
    assert (reviews.most, sorted(reviews.teams)) == (8, TEAMS)


async def test_known_answers_make_no_review_and_no_task(
    cache: TeamAnswersCache[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = Questions()
    first = await cache.allowed("ann", TEAMS, reviews)

    def no_task(*_: object, **__: object) -> None:
        raise AssertionError("a task was made")

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "create_task", no_task)
        assert await cache.allowed("ann", TEAMS, reviews) == first
        assert await cache.allowed("ann", TEAMS[1:3], reviews) == frozenset()
    assert len(reviews.teams) == len(TEAMS)


async def test_a_new_team_is_reviewed_alone(cache: TeamAnswersCache[str]) -> None:
    reviews = Questions()
    await cache.allowed("ann", TEAMS, reviews)
    reviews.teams.clear()
    await cache.allowed("ann", [*TEAMS, "new"], reviews)
    assert reviews.teams == ["new"]


async def test_callers_have_separate_answers(cache: TeamAnswersCache[str]) -> None:
    reviews = Questions()
    await cache.allowed("ann", TEAMS, reviews)
    await cache.allowed("bob", TEAMS, reviews)
    assert len(reviews.teams) == 2 * len(TEAMS)


async def test_a_refusal_is_kept_for_half_a_minute_and_a_permission_for_ten_seconds(
    cache: TeamAnswersCache[str], clock: FakeClock
) -> None:
    reviews = Questions()
    await cache.allowed("ann", TEAMS, reviews)
    for now, teams in ((9.9, []), (10.0, TEAMS[:1]), (29.9, TEAMS[:1]), (30.0, TEAMS[1:])):
        clock.now = now
        reviews.teams.clear()
        reviews.remaining = 1_000_000 if now != 9.9 else 0
        assert await cache.allowed("ann", TEAMS, reviews) == {TEAMS[0]}
        assert sorted(reviews.teams) == teams, now
        if now == 9.9:
            await _end_renewal(cache)


async def _end_renewal(cache: TeamAnswersCache[str]) -> None:
    """End the renewal that goes on in the background, without an answer."""
    renewal = cache._answers["ann"]._renewal
    assert renewal is not None
    renewal.cancel()
    await turns()


async def test_a_permission_near_its_expiry_is_renewed_once_in_the_background(
    cache: TeamAnswersCache[str], clock: FakeClock
) -> None:
    reviews = Questions()
    await cache.allowed("ann", TEAMS, reviews)
    reviews.teams.clear()
    clock.now = 6.0
    for _ in range(3):
        assert await cache.allowed("ann", TEAMS, reviews) == {TEAMS[0]}
    await turns()
    assert reviews.teams == TEAMS[:1]
    clock.now = 15.0
    assert await cache.allowed("ann", TEAMS, reviews) == {TEAMS[0]}
    assert reviews.teams == TEAMS[:1]


async def test_a_renewal_that_fails_is_no_warning_and_the_next_call_asks_again(
    cache: TeamAnswersCache[str], clock: FakeClock
) -> None:
    reviews = Questions()
    await cache.allowed("ann", TEAMS, reviews)
    clock.now = 7.0
    reviews.remaining, reviews.error = 0, ValueError("no answer")
    assert await cache.allowed("ann", TEAMS, reviews) == {TEAMS[0]}
    await turns()
    clock.now = 10.0
    with pytest.raises(ValueError, match="no answer"):
        await cache.allowed("ann", TEAMS, reviews)


async def test_calls_for_the_same_teams_share_the_reviews(cache: TeamAnswersCache[str]) -> None:
    reviews = Questions()
    calls = [cache.allowed("ann", TEAMS, reviews) for _ in range(20)]
    assert set(await asyncio.gather(*calls)) == {frozenset(TEAMS[:1])}
    assert sorted(reviews.teams) == TEAMS


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_a_call_that_ends_early_ends_its_reviews_and_keeps_the_answers(
    cache: TeamAnswersCache[str], end: str
) -> None:
    reviews = Questions(remaining=20, error=ValueError() if end == "failed" else None)
    call = asyncio.create_task(cache.allowed("ann", TEAMS, reviews))
    await turns()
    if end == "cancelled":
        assert reviews.open == 8
        call.cancel()
    with pytest.raises((asyncio.CancelledError, ValueError)):
        await call
    assert reviews.open == 0
    answered = list(reviews.teams)
    reviews.remaining, reviews.error = 1_000_000, None
    assert await cache.allowed("ann", TEAMS, reviews) == {TEAMS[0]}
    assert sorted(reviews.teams) == TEAMS
    assert 0 < len(answered) <= 20


async def test_the_answers_of_those_who_asked_long_ago_are_forgotten_first() -> None:
    cache: TeamAnswersCache[str] = TeamAnswersCache(8, FakeClock(), max_answers=120)
    reviews = Questions()
    for caller in ("ann", "bob", "ann", "eve"):
        await cache.allowed(caller, TEAMS, reviews)
    reviews.teams.clear()
    await cache.allowed("ann", TEAMS, reviews)
    assert not reviews.teams
    await cache.allowed("bob", TEAMS, reviews)
    assert len(reviews.teams) == len(TEAMS)
    assert cache._total == sum(len(a.reviewed_at) for a in cache._answers.values()) == 100


async def test_teams_that_are_gone_are_forgotten(
    cache: TeamAnswersCache[str], clock: FakeClock
) -> None:
    await cache.allowed("ann", TEAMS, Questions())
    clock.now = 31.0
    await cache.allowed("ann", TEAMS[:2], Questions())
    assert cache._total == 2
