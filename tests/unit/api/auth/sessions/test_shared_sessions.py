import base64
import json
from typing import cast

import pytest

from aichat_workspace.api.auth.sessions import session as sessions
from aichat_workspace.api.auth.sessions.encryption import Cipher, Keys
from aichat_workspace.api.auth.sessions.session import Session
from aichat_workspace.api.auth.sessions.shared_sessions import SharedSessions
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.domain import names
from aichat_workspace.kube.errors import ApiError, ForbiddenError
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.api.clock import FakeClock


class FakeKeys:
    """A key that is there at once."""

    def __init__(self, dev: bool = False) -> None:
        self.dev = dev

    async def cipher(self) -> Cipher:
        return Cipher(b"k" * 32)


class RunningClock(FakeClock):
    """Runs a second further whenever it is read."""

    def __call__(self) -> float:
        self.now += 1
        return self.now


def token(exp: float) -> str:
    body = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


SESSION = sessions.start(token(1_100), "r0", 1_000, 8 * 3600)


def replica(
    leases: FakeKubernetes, clock: FakeClock, identity: str = "one", *, dev: bool = False
) -> SharedSessions:
    return SharedSessions(leases, cast("Keys", FakeKeys(dev)), identity, clock)


def renewed(session: Session) -> Session:
    return sessions.Session(
        session.id, token(2_000), 1_090, session.ends_at, "r1", session.generation + 1
    )


async def test_the_next_replica_gets_the_state_that_the_first_one_shared() -> None:
    leases, clock = FakeKubernetes(), FakeClock(1_090)
    turn = await replica(leases, clock).take_turn(SESSION)
    assert (turn.session, turn.lease is not None) == (SESSION, True)
    state = await replica(leases, clock).end_turn(turn, renewed(SESSION))
    other = await replica(leases, clock, "two").take_turn(SESSION)
    assert (other.session, other.lease) == (state, None)


async def test_a_replica_waits_for_the_others_turn_and_says_so_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aichat_workspace.api.auth.sessions.shared_sessions._LOOK_AGAIN_SECONDS", 0)
    leases, clock = FakeKubernetes(), FakeClock(1_090)
    await replica(leases, clock).take_turn(SESSION)
    with pytest.raises(ProblemError) as raised:
        await replica(leases, RunningClock(1_090), "two").take_turn(SESSION)
    assert raised.value.status == 503


async def test_the_turn_of_a_replica_that_was_killed_ends_after_a_minute() -> None:
    leases, clock = FakeKubernetes(), FakeClock(1_090)
    await replica(leases, clock).take_turn(SESSION)
    clock.now += 60
    turn = await replica(leases, clock, "two").take_turn(SESSION)
    assert turn.lease is not None
    assert turn.lease["spec"]["holderIdentity"] == "two"


async def test_a_turn_that_another_replica_has_taken_over_shares_nothing() -> None:
    leases, clock = FakeKubernetes(), FakeClock(1_090)
    late = await replica(leases, clock).take_turn(SESSION)
    clock.now += 60
    turn = await replica(leases, clock, "two").take_turn(SESSION)
    state = await replica(leases, clock, "two").end_turn(turn, renewed(SESSION))
    assert await replica(leases, clock).end_turn(late, SESSION) == state


async def test_a_lease_shows_neither_a_token_nor_the_sessions_id() -> None:
    leases, clock = FakeKubernetes(), FakeClock(1_090)
    turn = await replica(leases, clock).take_turn(SESSION)
    await replica(leases, clock).end_turn(turn, renewed(SESSION))
    text = json.dumps([*leases.objects.values()])
    for secret in (SESSION.id, SESSION.token, renewed(SESSION).token, '"r0"', '"r1"'):
        assert secret not in text


async def test_a_session_is_ended_even_while_another_replica_renews_it() -> None:
    leases, clock = FakeKubernetes(), FakeClock(1_090)
    turn = await replica(leases, clock).take_turn(SESSION)
    assert await replica(leases, clock, "two").end(SESSION) == SESSION
    state = await replica(leases, clock).end_turn(turn, renewed(SESSION))
    assert (state.ends_at, state.refresh_token) == (1_090, None)


async def test_only_leases_of_sessions_that_are_over_are_deleted() -> None:
    leases, clock = FakeKubernetes(), FakeClock(1_090)
    leader = {
        "kind": "Lease",
        "metadata": {"name": "aichat-workspace-operator", "namespace": names.SYSTEM_NAMESPACE},
    }
    leases.store(leader)
    await replica(leases, clock).take_turn(SESSION)
    await replica(leases, clock).delete_ended()
    assert len(leases.objects) == 2
    clock.now = SESSION.ends_at
    await replica(leases, clock).delete_ended()
    assert list(leases.of_kind("Lease")) == ["aichat-workspace-operator"]


async def test_without_the_right_to_write_leases_a_laptop_renews_alone_and_a_pod_does_not() -> None:
    leases, clock = FakeKubernetes(error=ForbiddenError(403, "Forbidden", "no")), FakeClock(1_090)
    laptop = replica(leases, clock, dev=True)
    turn = await laptop.take_turn(SESSION)
    assert turn.lease is not None
    assert await laptop.end_turn(turn, renewed(SESSION)) == renewed(SESSION)
    with pytest.raises(ApiError):
        await replica(leases, clock).take_turn(SESSION)


async def test_that_a_session_was_ended_is_known_as_long_as_its_cookies_could_be_renewed() -> None:
    leases, clock = FakeKubernetes(), FakeClock(1_090)
    await replica(leases, clock).end(SESSION)
    clock.now += 1_000
    await replica(leases, clock).delete_ended()
    turn = await replica(leases, clock, "two").take_turn(SESSION)
    assert (turn.session.refresh_token, turn.lease) == (None, None)
    clock.now = SESSION.ends_at + 1
    await replica(leases, clock).delete_ended()
    assert not leases.objects
