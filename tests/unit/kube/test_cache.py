"""A watch cache against an API server in memory."""

import asyncio
import weakref
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any, cast

import pytest

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube import cache as module
from aichat_workspace.kube.cache import Cache, staleness
from aichat_workspace.kube.client import Client, WatchEvent
from aichat_workspace.kube.discovery import DEFINITION
from aichat_workspace.kube.errors import ApiError, GoneError, NotFoundError, UnreachableError
from aichat_workspace.kube.store import Store
from tests.unit.waiting import turns, until

ROUTES = Resource("example.org", "v1", "Route", "routes")


def route(name: str, version: int) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "uid": name, "resourceVersion": str(version)}
    return {"apiVersion": "example.org/v1", "kind": "Route", "metadata": metadata}


class Server:
    """Lists `objects`; its watches report `events`, then stay open."""

    def __init__(self) -> None:
        self.installed = True
        self.objects: list[dict[str, Any]] = []
        self.version = 1
        self.lists = 0
        self.opened: list[float] = []
        self.ends_at_once = False
        self.events: asyncio.Queue[WatchEvent | Exception] = asyncio.Queue()
        self.definitions: asyncio.Queue[WatchEvent | Exception] = asyncio.Queue()

    async def list_pages(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str,
        page_size: int = 500,
    ) -> AsyncIterator[dict[str, Any]]:
        assert (resource, namespace, label_selector) == (ROUTES, None, "")
        self.lists += page_size > 1
        if not self.installed:
            raise NotFoundError(404, "NotFound", "no such kind")
        yield {"metadata": {"resourceVersion": str(self.version)}, "items": list(self.objects)}

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        field_selector: str = "",
        **_: Any,
    ) -> AsyncIterator[WatchEvent]:
        events = self.events
        if resource == DEFINITION:
            assert field_selector == "metadata.name=routes.example.org"
            events = self.definitions
        else:
            assert resource == ROUTES
            self.opened.append(asyncio.get_running_loop().time())
        assert resource_version
        await asyncio.sleep(0)
        while not self.ends_at_once:
            event = await events.get()
            if isinstance(event, Exception):
                raise event
            yield event


class Watched:
    """A running cache of the server's objects, and the changes that it reports."""

    def __init__(self, **options: Any) -> None:
        self.server = Server()
        self.changes: list[str] = []
        client = cast("Client", self.server)
        self.cache = Cache(client, ROUTES, Store(self._changed), **options)

    def _changed(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        obj = new or old
        assert obj is not None
        self.changes.append(("+" if new else "-") + str(obj["metadata"]["name"]))

    async def __aenter__(self) -> "Watched":
        self._task = asyncio.create_task(self.cache.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(module, "_MAX_WAIT_SECONDS", 0.002)


async def wait_for_surprises() -> None:
    """Wait long enough for a thing that must not happen."""
    await asyncio.sleep(0.02)


async def test_listed_and_watched_objects_are_reported_once() -> None:
    watched = Watched()
    watched.server.objects = [route("a", 1)]
    async with watched:
        await watched.cache.wait_synced()
        await watched.server.events.put(WatchEvent("ADDED", route("b", 2)))
        await watched.server.events.put(WatchEvent("DELETED", route("a", 3)))
        await until(lambda: len(watched.changes) == 3)
    assert watched.changes == ["+a", "+b", "-a"]
    assert watched.server.lists == 1


@pytest.mark.parametrize(
    "fault", [GoneError(410, "Expired", "too old"), ApiError(500, "InternalError", "etcd")]
)
async def test_an_error_event_lists_again(fault: Exception) -> None:
    watched = Watched()
    async with watched:
        await watched.cache.wait_synced()
        watched.server.objects, watched.server.version = [route("late", 5)], 5
        await watched.server.events.put(fault)
        await until(lambda: watched.server.lists == 2 and bool(watched.changes))
    assert watched.changes == ["+late"]
    assert watched.server.lists == 2


async def test_a_broken_watch_resumes_without_another_list() -> None:
    watched = Watched()
    async with watched:
        await watched.cache.wait_synced()
        await watched.server.events.put(UnreachableError("reset"))
        await watched.server.events.put(WatchEvent("ADDED", route("b", 2)))
        await until(lambda: bool(watched.changes))
    assert watched.changes == ["+b"]
    assert watched.server.lists == 1


async def test_watches_that_end_at_once_are_opened_after_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(module, "_MAX_WAIT_SECONDS", 10.0)
    watched = Watched()
    watched.server.ends_at_once = True
    async with watched:
        await until(lambda: len(watched.server.opened) > 4)
    pauses = [later - earlier for earlier, later in pairwise(watched.server.opened)]
    for pause, least in zip(pauses, (0.004, 0.008, 0.016, 0.032), strict=False):
        assert pause > least, "10, 20, 40 and 80 ms, less up to a half"


async def test_a_watch_that_lasted_is_reopened_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_SECONDS", 60.0)
    monkeypatch.setattr(module, "_SHORT_SECONDS", 0.0)
    watched = Watched()
    watched.server.ends_at_once = True
    async with watched:
        await until(lambda: len(watched.server.opened) > 3)


async def test_a_watch_without_a_word_of_a_restored_api_server_lists_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SHORT_SECONDS", 0.0)
    watched = Watched()
    watched.server.objects, watched.server.version = [route("a", 900), route("b", 950)], 1000
    async with watched:
        await watched.cache.wait_synced()
        watched.server.objects, watched.server.version = [route("a", 400)], 500
        watched.server.ends_at_once = True
        await watched.server.events.put(UnreachableError("reset"))
        await until(lambda: watched.cache.version == 500)
    assert watched.cache.get("n", "a") == route("a", 400)
    assert watched.cache.get("n", "b") is None


@pytest.mark.parametrize(
    ("is_synced", "silent_seconds", "problem"),
    [(False, 0.0, "not listed yet"), (True, 181.0, "is silent"), (True, 179.0, "")],
)
def test_a_cache_is_not_trusted_before_its_list_and_after_a_long_silence(
    monkeypatch: pytest.MonkeyPatch, *, is_synced: bool, silent_seconds: float, problem: str
) -> None:
    monkeypatch.setattr(Cache, "is_synced", is_synced)
    monkeypatch.setattr(Cache, "silent_seconds", silent_seconds)
    message = staleness([Watched().cache])
    assert problem in message
    assert bool(message) is bool(problem)


async def test_a_kind_is_listed_again_until_it_is_installed() -> None:
    watched = Watched()
    watched.server.installed = False
    async with watched:
        await wait_for_surprises()
        assert not watched.cache.is_synced
        watched.server.installed = True
        await until(lambda: watched.cache.is_synced)


async def test_an_optional_kind_that_is_not_installed_is_not_polled() -> None:
    watched = Watched(optional=True)
    watched.server.installed = False
    async with watched:
        await watched.cache.wait_synced()
        await wait_for_surprises()
        assert watched.server.lists == 1
        watched.server.installed, watched.server.objects = True, [route("a", 1)]
        watched.cache.retry_discovery()
        await until(lambda: bool(watched.changes))
    assert watched.changes == ["+a"]
    assert watched.server.lists == 2


def definition(*, is_established: bool, version: str = "v1") -> dict[str, Any]:
    condition = {"type": "Established", "status": "True" if is_established else "False"}
    return {
        "metadata": {"name": "routes.example.org", "resourceVersion": "9"},
        "spec": {"versions": [{"name": version, "served": True}]},
        "status": {"conditions": [condition]},
    }


async def test_an_optional_kind_is_listed_when_its_definition_is_established() -> None:
    watched = Watched(optional=True)
    watched.server.installed = False
    async with watched:
        await watched.cache.wait_synced()
        for news in (
            ApiError(403, "Forbidden", "not yet permitted"),
            UnreachableError("reset"),
            WatchEvent("ADDED", definition(is_established=False)),
            WatchEvent("MODIFIED", definition(is_established=True, version="v1beta1")),
            WatchEvent("DELETED", definition(is_established=True)),
        ):
            await watched.server.definitions.put(news)
        await until(watched.server.definitions.empty)
        await wait_for_surprises()
        assert watched.server.lists == 1
        watched.server.installed, watched.server.objects = True, [route("a", 1)]
        await watched.server.definitions.put(WatchEvent("ADDED", definition(is_established=True)))
        await until(lambda: bool(watched.changes))
    assert watched.server.lists == 2


async def test_the_objects_of_a_kind_that_was_uninstalled_are_gone() -> None:
    watched = Watched(optional=True)
    watched.server.objects = [route("a", 1)]
    async with watched:
        await watched.cache.wait_synced()
        watched.server.installed = False
        await watched.server.events.put(NotFoundError(404, "NotFound", "no such kind"))
        await until(lambda: watched.changes == ["+a", "-a"])
        assert watched.cache.get("n", "a") is None


async def test_silence_is_measured_from_the_last_word_of_the_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched()
    assert watched.cache.silent_seconds == 0
    async with watched:
        await watched.cache.wait_synced()
        loop = asyncio.get_running_loop()
        now = loop.time()
        with monkeypatch.context() as later:
            later.setattr(loop, "time", lambda: now + 200)
            assert watched.cache.silent_seconds >= 190
            await watched.server.events.put(WatchEvent("ADDED", route("a", 2)))
            await turns()
            assert watched.cache.silent_seconds == 0


async def test_an_uninstalled_kind_is_never_silent() -> None:
    watched = Watched(optional=True)
    watched.server.installed = False
    async with watched:
        await watched.cache.wait_synced()
        assert watched.cache.silent_seconds == 0


async def test_only_objects_newer_than_the_cache_are_transformed() -> None:
    transformed: list[int] = []

    def transform(obj: dict[str, Any]) -> dict[str, Any]:
        transformed.append(int(obj["metadata"]["resourceVersion"]))
        return obj

    watched = Watched(transform=transform)
    watched.server.objects = [route("a", 1)]
    async with watched:
        await watched.cache.wait_synced()
        watched.cache.observe(route("a", 5))
        for event_type, version in (("MODIFIED", 4), ("MODIFIED", 5), ("MODIFIED", 6)):
            await watched.server.events.put(WatchEvent(event_type, route("a", version)))
        await watched.server.events.put(WatchEvent("DELETED", route("a", 7)))
        await until(lambda: watched.cache.version == 7)
    assert transformed == [1, 5, 6]
    assert watched.changes == ["+a", "+a", "+a", "-a"]


class Page(dict[str, Any]):
    """A page of a list. A plain dictionary has no weak references."""


class PagedServer(Server):
    """Lists one object a page, each once `may_answer` is set, and notes which pages are alive."""

    def __init__(self, pages: int) -> None:
        super().__init__()
        self.pages = pages
        self.may_answer = asyncio.Event()
        self.alive: weakref.WeakValueDictionary[int, Page] = weakref.WeakValueDictionary()
        self.alive_at_once: list[int] = []

    async def list_pages(
        self, *_: Any, page_size: int = 500, **__: Any
    ) -> AsyncIterator[dict[str, Any]]:
        self.lists += page_size > 1
        await self.may_answer.wait()
        for number in range(self.pages):
            metadata = {"resourceVersion": str(self.version)}
            page = Page(metadata=metadata, items=[route(str(number), 1)])
            self.alive[number] = page
            self.alive_at_once.append(len(self.alive))
            yield page
            del page


async def test_a_page_is_gone_before_the_next_one_is_there() -> None:
    watched = Watched()
    watched.server = server = PagedServer(3)
    watched.cache = Cache(cast("Client", server), ROUTES, Store(watched._changed))
    server.may_answer.set()
    async with watched:
        await watched.cache.wait_synced()
    assert server.alive_at_once == [1, 1, 1]
    assert watched.changes == ["+0", "+1", "+2"]


async def test_kinds_that_share_a_slot_are_listed_one_after_the_other() -> None:
    slot = asyncio.Semaphore(1)
    servers = PagedServer(1), PagedServer(1)
    first, second = (
        Cache(cast("Client", server), ROUTES, Store(lambda *_: None), list_slots=slot)
        for server in servers
    )
    runs = [asyncio.create_task(cache.run()) for cache in (first, second)]
    await until(lambda: servers[0].lists)
    await turns()
    assert servers[1].lists == 0
    for server in servers:
        server.may_answer.set()
    await first.wait_synced()
    await second.wait_synced()
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)
