import asyncio
import base64
import json
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from aichat_workspace.api.auth import session as sessions
from aichat_workspace.api.auth.provider import Provider, Tokens
from aichat_workspace.api.auth.renewals import Renewals
from aichat_workspace.api.auth.session import Session
from aichat_workspace.api.web.problems import ProblemError
from tests.unit.api.clock import FakeClock

LIFE = 100


def token(exp: float, sub: str = "ann") -> str:
    body = base64.urlsafe_b64encode(json.dumps({"exp": exp, "sub": sub}).encode()).decode()
    return f"e30.{body.rstrip('=')}.c2ln"


@dataclass
class StrictProvider:
    """Takes each refresh token once; a second use ends them all."""

    clock: FakeClock
    good: str | None = "r0"
    uses: int = 0
    person: str = "ann"
    problem: ProblemError | None = None
    pause: asyncio.Event = field(default_factory=asyncio.Event)

    async def renew(self, refresh_token: str) -> Tokens:
        self.uses += 1
        await self.pause.wait()
        if self.problem is not None:
            raise self.problem
        if refresh_token != self.good:
            self.good = None
            raise ProblemError(401, "unauthenticated", "invalid_grant")
        self.good = f"r{self.uses}"
        return Tokens(token(self.clock.now + LIFE, self.person), self.good)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_000)


@pytest.fixture
def provider(clock: FakeClock) -> StrictProvider:
    provider = StrictProvider(clock)
    provider.pause.set()
    return provider


@pytest.fixture
def renewals(provider: StrictProvider, clock: FakeClock) -> Renewals:
    return Renewals(cast("Provider", provider), clock)


@pytest.fixture
def session(clock: FakeClock) -> Session:
    return sessions.start(token(clock.now + LIFE), "r0", clock.now, 10 * LIFE)


async def test_a_session_is_renewed_once_a_quarter_of_its_tokens_life_is_left(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    clock.now += 0.74 * LIFE
    assert await renewals.current(session) == session
    clock.now += 0.01 * LIFE
    renewed = await renewals.current(session)
    assert (renewed.id, renewed.ends_at) == (session.id, session.ends_at)
    assert (renewed.token, renewed.refresh_token) == (token(clock.now + LIFE), "r1")
    assert provider.uses == 1


async def test_a_session_lives_ten_lives_of_its_token_whoever_still_holds_the_first_state(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    browser = stream = session
    for _ in range(100):
        clock.now += LIFE / 10
        stream = await renewals.current(session)  # a stream keeps what it began with
        if clock.now % 70 < 10:
            browser = await renewals.current(browser)
            assert browser == stream
        assert json.loads(base64.urlsafe_b64decode(stream.token.split(".")[1] + "=="))["exp"] > (
            clock.now
        )
    assert provider.good is not None
    assert 12 <= provider.uses <= 14


async def test_concurrent_requests_share_one_renewal_and_one_who_leaves_does_not_end_it(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    provider.pause.clear()
    waiting = [asyncio.create_task(renewals.current(session)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    provider.pause.set()
    states = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(states[0], asyncio.CancelledError)
    assert {state.refresh_token for state in states[1:] if isinstance(state, Session)} == {"r1"}
    assert provider.uses == 1


async def test_an_older_state_never_uses_its_refresh_token_again(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    renewed = await renewals.current(session)
    assert await renewals.current(session) == renewed
    clock.now += LIFE
    assert (await renewals.current(session)).refresh_token == "r2"
    assert provider.good == "r2"


async def test_a_state_of_another_replica_that_is_newer_is_taken(
    renewals: Renewals, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    await renewals.current(session)
    newer = replace(session, token=token(clock.now + LIFE), token_since=int(clock.now) + 5)
    assert await renewals.current(newer) == newer
    assert await renewals.current(session) == newer


async def test_while_the_provider_fails_the_token_is_used_until_it_expires(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    provider.problem = ProblemError(502, "identity-provider", "down")
    clock.now += 0.8 * LIFE
    assert await renewals.current(session) == session
    assert await renewals.current(session) == session
    assert provider.uses == 1, "the next attempt is some seconds later"
    clock.now += 0.2 * LIFE
    with pytest.raises(ProblemError):
        await renewals.current(session)
    clock.now += 5
    provider.problem = None
    assert (await renewals.current(session)).refresh_token == "r3"


async def test_a_refusal_is_final_and_leaves_the_token_to_expire(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    provider.good = "another"
    clock.now += 0.8 * LIFE
    for _ in range(3):
        clock.now += LIFE
        assert await renewals.current(session) == replace(session, refresh_token=None)
    assert provider.uses == 1


async def test_a_token_for_somebody_else_is_not_taken(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    provider.person = "bob"
    clock.now += LIFE
    assert (await renewals.current(session)).token == session.token


async def test_a_session_that_was_ended_stays_so_for_its_streams_and_for_copies(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    renewed = await renewals.current(session)
    assert renewals.forget(session) == renewed, "so that the last refresh token is revoked"
    for copy in (session, renewed):
        assert (await renewals.current(copy)).ends_at <= clock.now
    assert provider.uses == 1


async def test_without_a_provider_or_a_refresh_token_nothing_is_renewed(
    renewals: Renewals, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    assert await Renewals(None, clock).current(session) == session
    bare = replace(session, refresh_token=None)
    assert await renewals.current(bare) == bare


async def test_a_bounded_number_of_sessions_is_remembered(
    renewals: Renewals, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aichat_workspace.api.auth.renewals._MAX_SESSIONS", 3)
    for index in range(10):
        await renewals.current(replace(session, id=str(index)))
    assert list(renewals._renewals) == ["7", "8", "9"]
