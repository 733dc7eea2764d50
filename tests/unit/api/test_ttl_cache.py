import asyncio
from contextlib import suppress

import pytest

from aichat_workspace.api.ttl_cache import CoalescedCall, TtlCache
from tests.unit.api.clock import FakeClock
from tests.unit.waiting import turns


class FakeSource:
    """Counts its requests, and answers once `answering` is set."""

    def __init__(self) -> None:
        self.requests = 0
        self.cancelled = 0
        self.answering = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.requests += 1
        number = self.requests
        try:
            await self.answering.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return number


async def test_an_expired_answer_is_fetched_again() -> None:
    clock = FakeClock()
    cache: TtlCache[str, int] = TtlCache(10, 5, clock)
    source = FakeSource()
    source.answering.set()
    assert await cache.get("a", source) == 1
    clock.now = 5.9
    assert await cache.get("a", source) == 1
    clock.now = 10.0
    assert await cache.get("a", source) == 2


async def test_an_answer_near_its_expiry_is_returned_and_renewed_in_the_background() -> None:
    clock = FakeClock()
    cache: TtlCache[str, int] = TtlCache(10, 5, clock)
    source = FakeSource()
    source.answering.set()
    assert await cache.get("a", source) == 1
    clock.now = 7.0
    assert await cache.get("a", source) == 1
    await turns()
    clock.now = 12.0
    assert await cache.get("a", source) == 2
    assert source.requests == 2


async def test_an_answer_that_can_not_be_renewed_is_kept_until_it_expires() -> None:
    clock = FakeClock()
    cache: TtlCache[str, int] = TtlCache(10, 5, clock)
    source = FakeSource()
    source.answering.set()
    assert await cache.get("a", source) == 1
    source.error = ValueError("no answer")
    clock.now = 9.9
    assert await cache.get("a", source) == 1
    await turns()
    clock.now = 10.0
    with pytest.raises(ValueError, match="no answer"):
        await cache.get("a", source)


async def test_concurrent_calls_share_one_request() -> None:
    cache: TtlCache[str, int] = TtlCache(10, 5)
    source = FakeSource()
    waiting = [asyncio.create_task(cache.get("a", source)) for _ in range(20)]
    await asyncio.sleep(0)
    source.answering.set()
    assert set(await asyncio.gather(*waiting)) == {1}
    assert source.requests == 1


async def test_a_cancelled_call_does_not_cancel_the_others() -> None:
    cache: TtlCache[str, int] = TtlCache(10, 5)
    source = FakeSource()
    cancelled = asyncio.create_task(cache.get("a", source))
    waiting = asyncio.create_task(cache.get("a", source))
    await asyncio.sleep(0)
    cancelled.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled
    source.answering.set()
    assert await waiting == 1
    assert await cache.get("a", source) == 1


async def test_a_request_is_cancelled_with_its_last_call_and_the_next_call_makes_another() -> None:
    cache: TtlCache[str, int] = TtlCache(10, 5)
    source = FakeSource()
    calls = [asyncio.create_task(cache.get("a", source)) for _ in range(2)]
    await turns()
    for call in calls:
        assert not source.cancelled
        call.cancel()
        await turns()
    assert source.cancelled == 1
    source.answering.set()
    assert await cache.get("a", source) == 2


async def test_a_call_right_after_the_last_one_was_cancelled_is_answered() -> None:
    cache: TtlCache[str, int] = TtlCache(10, 5)
    source = FakeSource()
    cancelled = asyncio.create_task(cache.get("a", source))
    await turns()
    cancelled.cancel()
    await asyncio.sleep(0)
    source.answering.set()
    assert await cache.get("a", source) == 2


async def test_a_failed_request_raises_in_all_calls_and_is_repeated() -> None:
    cache: TtlCache[str, int] = TtlCache(10, 5)
    source = FakeSource()
    source.answering.set()
    source.error = ValueError("no answer")
    calls = [cache.get("a", source) for _ in range(2)]
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(error) for error in errors] == ["no answer"] * 2
    source.error = None
    assert await cache.get("a", source) == 2


async def test_the_oldest_answers_are_dropped() -> None:
    cache: TtlCache[int, int] = TtlCache(10, 2)
    source = FakeSource()
    source.answering.set()
    for key in (1, 2, 3):
        await cache.get(key, source)
    assert await cache.get(3, source) == 3
    assert await cache.get(1, source) == 4


async def test_a_failed_renewal_without_callers_is_no_warning() -> None:
    clock = FakeClock()
    cache: TtlCache[str, int] = TtlCache(10, 5, clock)
    source = FakeSource()
    source.answering.set()
    await cache.get("a", source)
    source.error = ValueError("no answer")
    clock.now = 7.0
    assert await cache.get("a", source) == 1
    await turns()
    assert source.requests == 2


async def test_calls_after_a_request_began_wait_for_the_next_one() -> None:
    call: CoalescedCall[int] = CoalescedCall()
    source = FakeSource()
    first = asyncio.create_task(call.get(source))
    await turns()
    later = [asyncio.create_task(call.get(source)) for _ in range(20)]
    await turns()
    source.answering.set()
    assert await first == 1
    assert set(await asyncio.gather(*later)) == {2}
