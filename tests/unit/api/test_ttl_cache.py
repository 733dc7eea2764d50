import asyncio
from contextlib import suppress

import pytest

from aichat_workspace.api.ttl_cache import CoalescedCall, TtlCache
from tests.unit.waiting import turns


class Oracle:
    """Counts its questions, and answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.let = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.asked += 1
        mine = self.asked
        await self.let.wait()
        if self.error is not None:
            raise self.error
        return mine


async def test_an_answer_holds_for_its_time_and_is_then_asked_for_again() -> None:
    now = [0.0]
    fresh: TtlCache[str, int] = TtlCache(10, 5, lambda: now[0])
    oracle = Oracle()
    oracle.let.set()
    assert await fresh.get("a", oracle) == 1
    now[0] = 5.9
    assert await fresh.get("a", oracle) == 1
    now[0] = 10.0
    assert await fresh.get("a", oracle) == 2


async def test_an_answer_in_its_last_part_is_given_at_once_and_renewed_beside() -> None:
    now = [0.0]
    fresh: TtlCache[str, int] = TtlCache(10, 5, lambda: now[0])
    oracle = Oracle()
    oracle.let.set()
    assert await fresh.get("a", oracle) == 1
    now[0] = 7.0
    assert await fresh.get("a", oracle) == 1
    await turns()
    now[0] = 12.0
    assert await fresh.get("a", oracle) == 2
    assert oracle.asked == 2


async def test_an_answer_that_cannot_be_renewed_holds_to_its_end_and_no_longer() -> None:
    now = [0.0]
    fresh: TtlCache[str, int] = TtlCache(10, 5, lambda: now[0])
    oracle = Oracle()
    oracle.let.set()
    assert await fresh.get("a", oracle) == 1
    oracle.error = ValueError("nobody says")
    now[0] = 9.9
    assert await fresh.get("a", oracle) == 1
    await turns()
    now[0] = 10.0
    with pytest.raises(ValueError, match="nobody says"):
        await fresh.get("a", oracle)


async def test_all_who_ask_at_once_share_one_question() -> None:
    fresh: TtlCache[str, int] = TtlCache(10, 5)
    oracle = Oracle()
    waiting = [asyncio.create_task(fresh.get("a", oracle)) for _ in range(20)]
    await asyncio.sleep(0)
    oracle.let.set()
    assert set(await asyncio.gather(*waiting)) == {1}
    assert oracle.asked == 1


async def test_whoever_gives_up_does_not_take_the_others_along() -> None:
    fresh: TtlCache[str, int] = TtlCache(10, 5)
    oracle = Oracle()
    hasty = asyncio.create_task(fresh.get("a", oracle))
    patient = asyncio.create_task(fresh.get("a", oracle))
    await asyncio.sleep(0)
    hasty.cancel()
    with suppress(asyncio.CancelledError):
        await hasty
    oracle.let.set()
    assert await patient == 1
    assert await fresh.get("a", oracle) == 1


async def test_a_failed_question_is_told_to_all_and_asked_again() -> None:
    fresh: TtlCache[str, int] = TtlCache(10, 5)
    oracle = Oracle()
    oracle.let.set()
    oracle.error = ValueError("nobody says")
    asked = [fresh.get("a", oracle) for _ in range(2)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(each) for each in told] == ["nobody says"] * 2
    oracle.error = None
    assert await fresh.get("a", oracle) == 2


async def test_only_so_many_answers_are_kept() -> None:
    fresh: TtlCache[int, int] = TtlCache(10, 2)
    oracle = Oracle()
    oracle.let.set()
    for key in (1, 2, 3):
        await fresh.get(key, oracle)
    assert await fresh.get(3, oracle) == 3
    assert await fresh.get(1, oracle) == 4


async def test_a_question_that_broke_without_anybody_waiting_is_no_warning() -> None:
    fresh: TtlCache[str, int] = TtlCache(10, 5)
    oracle = Oracle()
    asked = asyncio.create_task(fresh.get("a", oracle))
    await asyncio.sleep(0)
    asked.cancel()
    oracle.error = ValueError("nobody says")
    oracle.let.set()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await turns()


async def test_an_answer_is_for_those_only_who_asked_before_the_question_was_put() -> None:
    following: CoalescedCall[int] = CoalescedCall()
    oracle = Oracle()
    first = asyncio.create_task(following.get(oracle))
    await turns()
    later = [asyncio.create_task(following.get(oracle)) for _ in range(20)]
    await turns()
    oracle.let.set()
    assert await first == 1
    assert set(await asyncio.gather(*later)) == {2}
