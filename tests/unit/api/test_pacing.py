import asyncio
from functools import partial

from aichat_workspace.api.pacing import Pacer
from tests.unit.waiting import turns


async def test_calls_that_come_together_are_made_over_several_turns_in_order() -> None:
    pacer = Pacer(per_turn=3)
    numbers: list[int] = []
    for number in range(7):
        pacer.add(partial(numbers.append, number))
    counts = []
    while len(numbers) < 7:
        await asyncio.sleep(0)
        counts.append(len(numbers))
    assert numbers == list(range(7))
    assert counts == [3, 6, 7]
    pacer.add(partial(numbers.append, 7))
    await asyncio.sleep(0)
    assert numbers[-1] == 7


async def test_tasks_that_wait_for_their_turn_go_on_a_few_at_a_time() -> None:
    pacer = Pacer(per_turn=3)
    numbers: list[int] = []

    async def work(number: int) -> None:
        await pacer.turn()
        numbers.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(9)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    most = 0
    while not all(task.done() for task in tasks):
        before = len(numbers)
        await asyncio.sleep(0)
        most = max(most, len(numbers) - before)
    await turns()
    assert numbers == [0, 1, 2, 3, 5, 6, 7, 8]
    assert most == 3
