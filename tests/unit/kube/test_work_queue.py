import asyncio
from itertools import pairwise

from aichat_workspace.kube.work_queue import Queue, retry_delay_seconds


async def test_a_key_added_twice_is_worked_on_once() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    assert len(queue) == 0


async def test_a_key_added_during_its_work_comes_back_after_it() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_keys_come_in_the_order_in_which_they_were_added() -> None:
    queue: Queue[str] = Queue()
    for key in ("b", "a", "c"):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["b", "a", "c"]


async def test_get_waits_for_a_key() -> None:
    queue: Queue[str] = Queue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.add("a")
    assert await waiting == "a"


async def test_the_earlier_of_two_delays_counts() -> None:
    queue: Queue[str] = Queue()
    queue.add_after("a", 60)
    queue.add_after("a", 0.001)
    queue.add_after("a", 60)
    async with asyncio.timeout(30):
        assert await queue.get() == "a"


async def test_adding_a_key_now_cancels_its_delay() -> None:
    queue: Queue[str] = Queue()
    queue.add_after("a", 0.01)
    queue.add("a")
    queue.done(await queue.get())
    await asyncio.sleep(0.03)
    assert len(queue) == 0


async def test_each_failure_waits_longer_until_a_success() -> None:
    queue: Queue[str] = Queue()
    delays = [queue.retry("a") for _ in range(4)]
    assert all(later > earlier for earlier, later in pairwise(delays))
    queue.forget("a")
    assert queue.retry("a") < delays[1]
    queue.add("a")


async def test_a_key_that_has_spent_its_budget_waits_however_it_comes_back() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.spend("a", 30.2)
    queue.done("a")
    assert len(queue) == 0, "for two seconds"
    queue.add("a")
    queue.add_after("a", 0.001)
    queue.add("b")
    assert [await queue.get()] == ["b"]
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(30):
        assert await queue.get() == "a"
    assert asyncio.get_running_loop().time() - started > 0.5


async def test_a_retry_waits_at_least_as_long_as_asked() -> None:
    queue: Queue[str] = Queue()
    assert queue.retry("a", at_least_seconds=20) == 20
    queue.add("a")


async def test_waiting_for_leadership_is_no_waiting_for_a_worker() -> None:
    waited: list[float] = []
    queue: Queue[str] = Queue(waited.append)
    queue.add("a")
    queue.add("b")
    await asyncio.sleep(0.05)
    clock = asyncio.get_running_loop().time
    leads_since = clock()
    queue.reset_wait_times()
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert max(waited) <= clock() - leads_since


def test_a_retry_is_never_more_than_a_minute_away() -> None:
    assert retry_delay_seconds(1) == 0.05
    assert retry_delay_seconds(1000) == 60


async def test_a_key_is_queued_for_its_progress_unless_it_is_queued_anyway() -> None:
    queue: Queue[str] = Queue()
    queue.add_progress("a")
    assert await queue.get() == "a"
    queue.add_progress("a")
    queue.done("a")
    assert not queue.take_whole("a")
    queue.add("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    assert queue.take_whole("a")
    assert not queue.take_whole("a")
    queue.add("a")
    queue.add_progress("a")
    queue.done("a")
    assert await queue.get() == "a"
    assert queue.take_whole("a")


async def test_progress_does_not_put_off_what_is_queued_for_later() -> None:
    queue: Queue[str] = Queue()
    queue.add_after("a", 0.05)
    queue.add_progress("a")
    assert await queue.get() == "a"
    assert not queue.take_whole("a")
    queue.done("a")
    async with asyncio.timeout(30):
        assert await queue.get() == "a"
    assert queue.take_whole("a")
