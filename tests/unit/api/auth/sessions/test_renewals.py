import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from aichat_workspace.api.auth.provider import Provider, Tokens
from aichat_workspace.api.auth.sessions import session as sessions
from aichat_workspace.api.auth.sessions.encryption import Cipher, Keys
from aichat_workspace.api.auth.sessions.renewals import Renewals
from aichat_workspace.api.auth.sessions.session import Session
from aichat_workspace.api.auth.sessions.shared_sessions import SharedSessions
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.kube.errors import ApiError
from tests.fakes.kubernetes import FakeKubernetes
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
    began: asyncio.Event = field(default_factory=asyncio.Event)
    revoked: list[str] = field(default_factory=list)

    async def revoke(self, refresh_token: str) -> None:
        self.revoked.append(refresh_token)

    async def renew(self, refresh_token: str) -> Tokens:
        self.uses += 1
        self.began.set()
        await self.pause.wait()
        for _ in range(100):
            await asyncio.sleep(0)  # others come between
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


@dataclass
class FakeKeys:
    """A key that is there at once."""

    dev: bool = False

    async def cipher(self) -> Cipher:
        return Cipher(b"k" * 32)


@pytest.fixture
def leases() -> FakeKubernetes:
    return FakeKubernetes()


Replica = Callable[[], Renewals]


@pytest.fixture
def replica(provider: StrictProvider, leases: FakeKubernetes, clock: FakeClock) -> Replica:
    """Makes a replica that knows nothing yet."""

    def make() -> Renewals:
        identity = secrets.token_hex(4)
        shared = SharedSessions(leases, cast("Keys", FakeKeys()), identity, clock)
        return Renewals(cast("Provider", provider), shared, clock)

    return make


@pytest.fixture
def renewals(replica: Replica) -> Renewals:
    return replica()


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
    renewals: Renewals,
    provider: StrictProvider,
    leases: FakeKubernetes,
    session: Session,
    clock: FakeClock,
) -> None:
    clock.now += LIFE
    provider.pause.clear()
    waiting = [asyncio.create_task(renewals.current(session)) for _ in range(5)]
    await asyncio.sleep(0)
    await provider.began.wait()
    waiting[0].cancel()
    await asyncio.sleep(0)
    provider.pause.set()
    states = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(states[0], asyncio.CancelledError)
    assert {state.refresh_token for state in states[1:] if isinstance(state, Session)} == {"r1"}
    assert provider.uses == 1
    assert leases.requests == 4, "read, taken, written, and listed to be tidied up"


async def test_an_older_state_never_uses_its_refresh_token_again(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    renewed = await renewals.current(session)
    assert await renewals.current(session) == renewed
    clock.now += LIFE
    assert (await renewals.current(session)).refresh_token == "r2"
    assert provider.good == "r2"


async def test_another_replica_knows_the_last_state_even_after_a_restart_of_the_first(
    replica: Replica, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    renewed = await replica().current(session)
    assert await replica().current(session) == renewed
    clock.now += LIFE
    assert (await replica().current(session)).refresh_token == "r2"
    assert provider.good == "r2"


async def test_a_newer_state_that_the_browser_brings_is_taken(
    renewals: Renewals, session: Session, clock: FakeClock
) -> None:
    newer = replace(session, token=token(clock.now + 2 * LIFE), generation=1)
    assert await renewals.current(newer) == newer
    assert await renewals.current(session) == newer


async def test_replicas_take_turns_so_that_a_refresh_token_is_used_once(
    replica: Replica,
    provider: StrictProvider,
    session: Session,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aichat_workspace.api.auth.sessions.shared_sessions._LOOK_AGAIN_SECONDS", 0)
    clock.now += LIFE
    states = await asyncio.gather(*(replica().current(session) for _ in range(5)))
    assert {state.refresh_token for state in states} == {"r1"}
    assert provider.uses == 1


async def test_a_session_that_is_ended_while_it_is_renewed_stays_ended_and_leaves_no_token(
    replica: Replica, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    provider.pause.clear()
    renewing = asyncio.create_task(replica().current(session))
    await provider.began.wait()
    await replica().end(session)
    provider.pause.set()
    assert (await renewing).ends_at <= clock.now
    assert provider.revoked == ["r1"]


async def test_without_the_clusters_answer_no_refresh_token_is_used(
    renewals: Renewals,
    provider: StrictProvider,
    leases: FakeKubernetes,
    session: Session,
    clock: FakeClock,
) -> None:
    leases.error = ApiError(503, "ServiceUnavailable", "etcd is gone")
    clock.now += 0.8 * LIFE
    assert await renewals.current(session) == session
    clock.now += LIFE
    with pytest.raises(ProblemError):
        await renewals.current(session)
    assert provider.uses == 0


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
        assert await renewals.current(session) == replace(session, refresh_token=None, generation=1)
    assert provider.uses == 1


async def test_a_token_for_somebody_else_is_not_taken(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    provider.person = "bob"
    clock.now += LIFE
    assert (await renewals.current(session)).token == session.token


async def test_a_session_that_was_ended_stays_so_on_every_replica_and_for_copies(
    replica: Replica, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    first, second = replica(), replica()
    clock.now += LIFE
    renewed = await first.current(session)
    assert await first.end(session) == renewed, "so that the last refresh token is revoked"
    assert (await first.current(renewed)).ends_at <= clock.now
    clock.now += LIFE
    for copy in (session, renewed):
        assert (await second.current(copy)).ends_at <= clock.now
    assert provider.uses == 1


async def test_a_server_that_stops_waits_for_the_renewals_under_way(
    renewals: Renewals, provider: StrictProvider, session: Session, clock: FakeClock
) -> None:
    await renewals.finish()
    clock.now += LIFE
    provider.pause.clear()
    request = asyncio.create_task(renewals.current(session))
    await provider.began.wait()
    request.cancel()
    stopping = asyncio.create_task(renewals.finish())
    await asyncio.sleep(0)
    assert not stopping.done()
    provider.pause.set()
    await stopping
    assert (await renewals.current(session)).refresh_token == "r1"


async def test_a_session_can_be_ended_here_while_the_cluster_does_not_answer(
    renewals: Renewals, leases: FakeKubernetes, session: Session, clock: FakeClock
) -> None:
    leases.error = ApiError(503, "ServiceUnavailable", "etcd is gone")
    assert await renewals.end(session) == session
    assert (await renewals.current(session)).ends_at <= clock.now


async def test_what_is_left_of_former_sessions_is_deleted(
    replica: Replica, leases: FakeKubernetes, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    await replica().current(session)
    assert len(leases.objects) == 1
    clock.now = session.ends_at
    other = sessions.start(token(clock.now), session.refresh_token, clock.now, 10 * LIFE)
    await replica().current(other)
    for _ in range(10):
        await asyncio.sleep(0)
    (lease,) = leases.objects.values()
    assert lease["metadata"]["annotations"]["apps.aichatworkspaces.io/ends-at"] == str(
        other.ends_at
    )


async def test_without_a_provider_or_a_refresh_token_nothing_is_renewed(
    renewals: Renewals, session: Session, clock: FakeClock
) -> None:
    clock.now += LIFE
    assert await Renewals(None, renewals.shared, clock).current(session) == session
    bare = replace(session, refresh_token=None)
    assert await renewals.current(bare) == bare


async def test_a_bounded_number_of_sessions_is_remembered(
    renewals: Renewals, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aichat_workspace.api.auth.sessions.renewals._MAX_SESSIONS", 3)
    for index in range(10):
        await renewals.current(replace(session, id=str(index)))
    assert list(renewals._renewals) == ["7", "8", "9"]
