"""How many downloads at once, how fast, and when one is stuck."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from aichat_workspace.ollama.client import Progress
from aichat_workspace.ollama.errors import OllamaUnreachableError
from aichat_workspace.operator.models import downloads
from aichat_workspace.operator.models.downloads import (
    DownloadProgress,
    DownloadSlots,
    Slot,
    with_speed,
)


class Holders:
    """Downloads that hold their place until told to end."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.places = DownloadSlots(lambda: self.limit)
        self.at_work: list[str] = []
        self.slots: dict[str, Slot] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, *downloads: str) -> None:
        for download in downloads:
            self._ends[download] = asyncio.Event()
            self._tasks.append(asyncio.create_task(self._hold(download)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def end(self, download: str) -> None:
        self._ends[download].set()
        for _ in range(4):
            await asyncio.sleep(0)

    async def _hold(self, download: str) -> None:
        async with self.places.slot(download.partition("/")[0]) as self.slots[download]:
            self.at_work.append(download)
            await self._ends[download].wait()
            self.at_work.remove(download)


async def test_no_more_downloads_run_than_the_platform_allows() -> None:
    holders = Holders(2)
    await holders.begin("a/1", "b/1", "c/1")
    assert holders.at_work == ["a/1", "b/1"]
    await holders.end("a/1")
    assert holders.at_work == ["b/1", "c/1"]


async def test_a_workspace_with_many_models_holds_up_no_other() -> None:
    holders = Holders(2)
    await holders.begin("a/1", "a/2", "a/3", "a/4", "b/1")
    assert holders.at_work == ["a/1", "a/2"]
    await holders.end("a/1")
    assert holders.at_work == ["a/2", "b/1"]


async def test_a_raised_limit_counts_at_once() -> None:
    holders = Holders(1)
    await holders.begin("a/1", "b/1")
    holders.limit = 2
    holders.places.grant_waiting()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert holders.at_work == ["a/1", "b/1"]


async def test_a_cancelled_waiter_takes_no_slot() -> None:
    holders = Holders(1)
    await holders.begin("a/1", "b/1", "c/1")
    holders._tasks[1].cancel()
    await holders.end("a/1")
    assert holders.at_work == ["c/1"]
    await holders.end("c/1")
    assert holders.places.running == 0


async def test_a_cancelled_waiter_raises_only_its_cancellation() -> None:
    holders = Holders(1)
    await holders.begin("a/1", "a/2", "a/3")
    for task in holders._tasks:
        task.cancel()
    ends = await asyncio.gather(*holders._tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * 3


async def test_a_slot_expires_for_a_workspace_with_fewer_and_for_one_download_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(downloads, "SLOT_SECONDS", 0.0)
    holders = Holders(2)
    await holders.begin("a/1", "a/2", "a/3")
    assert not holders.places.expire(holders.slots["a/1"]), "only its own workspace waits"
    await holders.begin("b/1")
    assert holders.places.expire(holders.slots["a/1"])
    assert not holders.places.expire(holders.slots["a/2"]), "no other workspace waits any more"
    await asyncio.sleep(0)
    assert holders.at_work == ["a/1", "a/2", "b/1"], "the first is yet to learn of it"
    await holders.end("a/1")
    assert holders.at_work == ["a/2", "b/1"]
    assert holders.places.running == 2


async def test_a_slot_is_kept_for_ten_minutes_although_others_wait() -> None:
    holders = Holders(1)
    await holders.begin("a/1", "b/1")
    place = holders.slots["a/1"]
    assert not holders.places.expire(place)
    place.granted_at -= downloads.SLOT_SECONDS
    assert holders.places.expire(place)


async def test_a_slot_does_not_expire_for_a_cancelled_waiter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(downloads, "SLOT_SECONDS", 0.0)
    holders = Holders(1)
    await holders.begin("a/1", "b/1")
    holders._tasks[1].cancel()
    assert not holders.places.expire(holders.slots["a/1"])


async def test_speed_is_that_of_the_last_ten_seconds() -> None:
    steps = [(0.0, 0), (5.0, 500), (10.0, 500), (20.0, 4000)]
    paces = await _paces([Progress("pulling x", 1, 9000, fresh) for _, fresh in steps], steps)
    assert [pace.bytes_per_second for pace in paces] == [0, 100, 100, 450]


async def test_a_download_without_data_says_that_it_waits_and_then_ends() -> None:
    steps = [(0.0, 0), (5.0, 10), (16.0, 0), (64.0, 0), (66.0, 0)]
    progress = [Progress("pulling x", 1, 9000, fresh) for _, fresh in steps]
    with pytest.raises(OllamaUnreachableError, match="no data from the registry for 60 s"):
        await _paces(progress, steps)
    paces = await _paces(progress[:4], steps)
    assert [pace.is_waiting for pace in paces] == [False, False, True, True]


async def test_checking_what_was_downloaded_may_take_its_time() -> None:
    steps = [(0.0, 5), (1.0, 0), (400.0, 0)]
    progress = [Progress("pulling x", 5, 5, 5), Progress("verifying sha256 digest", 5, 5)]
    paces = await _paces([*progress, Progress("success", 5, 5)], steps)
    assert paces[-1].progress.status == "success"


async def test_checking_has_an_end() -> None:
    steps = [(0.0, 5), (1.0, 0), (600.0, 0), (902.0, 0)]
    checking = [Progress("verifying sha256 digest", 5, 5)] * 3
    with pytest.raises(OllamaUnreachableError, match="no end of its check for 900 s"):
        await _paces([Progress("pulling x", 5, 5, 5), *checking], steps)


async def _paces(
    progress: list[Progress], steps: list[tuple[float, int]]
) -> list[DownloadProgress]:
    async def pulling() -> AsyncGenerator[Progress, None]:
        for step in progress:
            yield step

    times = iter([0.0, *(time for time, _ in steps)])
    return [pace async for pace in with_speed(pulling(), lambda: next(times))]
