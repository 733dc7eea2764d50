"""What is asked of the API server, and how much of it at once."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest, Authorizer
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.kube.client import Client
from tests.unit.waiting import turns

ANN, BOB = Caller("ann", "1", ()), Caller("bob", "2", ())
TEAMS = [f"team-{at:02}" for at in range(50)]


@dataclass
class Judge(Client):
    """Allows what is asked about the first team only; answers once it is let."""

    let: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def review(self, _: str, body: Any) -> Any:
        spec = body["spec"]
        team = spec["resourceAttributes"].get("namespace", "")
        self.asked.append((spec["user"], team))
        await self.let.wait()
        return {"status": {"allowed": team == TEAMS[0]}}

    def of(self, who: Caller) -> int:
        return sum(user == who.username for user, _ in self.asked)


@pytest.fixture
def judge() -> Judge:
    return Judge()


async def test_what_is_known_is_not_asked_and_makes_no_task(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge.let.set()
    access = Authorizer.create(judge)
    first = await access.scope(ANN, "watch", lambda: TEAMS)
    assert first.teams == {TEAMS[0]}
    assert len(judge.asked) == 1 + len(TEAMS)

    def no_task(*_: object, **__: object) -> None:
        raise AssertionError("a task was made")

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "create_task", no_task)
        assert await access.scope(ANN, "watch", lambda: TEAMS) == first
    assert len(judge.asked) == 1 + len(TEAMS)


async def test_a_new_team_is_asked_about_alone(judge: Judge) -> None:
    judge.let.set()
    access = Authorizer.create(judge)
    await access.scope(ANN, "watch", lambda: TEAMS)
    judge.asked.clear()
    await access.scope(ANN, "watch", lambda: [*TEAMS, "new"])
    assert judge.asked == [("ann", "new")]


async def test_an_answer_no_shows_in_lists_for_half_a_minute_and_holds_nobody_up_that_long(
    judge: Judge,
) -> None:
    now = 0.0
    judge.let.set()
    access = Authorizer(judge, TtlCache(10.0, 1000, lambda: now), asyncio.Semaphore(32))
    await access.scope(ANN, "watch", lambda: TEAMS)
    judge.asked.clear()
    now = 11.0
    assert (await access.scope(ANN, "watch", lambda: TEAMS)).teams == {TEAMS[0]}
    assert judge.asked == [("ann", ""), ("ann", TEAMS[0])], "yes, and everywhere, are asked again"
    assert not await access.allows(ANN, AccessRequest("watch", TEAMS[1]))
    assert judge.asked[-1] == ("ann", TEAMS[1]), "whoever tries is asked about anew"
    judge.asked.clear()
    now = 31.0
    await access.scope(ANN, "watch", lambda: TEAMS)
    assert ("ann", TEAMS[2]) in judge.asked


async def test_answers_are_in_the_order_of_what_was_asked(judge: Judge) -> None:
    judge.let.set()
    deeds = [AccessRequest("get", team) for team in (TEAMS[1], TEAMS[0], TEAMS[2])]
    assert await Authorizer.create(judge).allows_each(ANN, deeds) == [False, True, False]


async def test_who_has_much_to_be_asked_holds_nobody_up(judge: Judge) -> None:
    access = Authorizer.create(judge)
    much = asyncio.create_task(
        access.allows_each(ANN, [AccessRequest("get", team) for team in TEAMS])
    )
    await turns()
    little = asyncio.create_task(access.allows(BOB, AccessRequest("get", TEAMS[0])))
    await turns()
    assert (judge.of(ANN), judge.of(BOB)) == (8, 1)
    judge.let.set()
    assert await little
    assert sum(await much) == 1
    assert judge.of(ANN) == len(TEAMS)
