"""A watch cache: one list and one watch of a kind, shared by all readers."""

import asyncio
import random
from collections.abc import Callable, Hashable, Iterable, Set
from typing import Final

import structlog

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.discovery import wait_served
from aichat_workspace.kube.errors import ApiError, GoneError, NotFoundError, UnreachableError
from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.store import Entry, Store

# Three watches in a row without a word, not even of their end.
_SILENT_SECONDS: Final = 180.0
# The API server ends a watch after 50 seconds; one that ends at once is not opened again at once.
_SHORT_SECONDS: Final = 1.0
_FIRST_WAIT_SECONDS: Final = 0.2
_MAX_WAIT_SECONDS: Final = 10.0
# Decoded, a page of workloads takes 80 KB for each.
_PAGE_SIZE: Final = 250
_log: Final = structlog.get_logger()


class Cache:
    """A watch cache of one kind.

    `transform` drops unread fields of each object before `store` has it, and keeps its name,
    namespace and resourceVersion. An `optional` kind may not be installed: it is listed again when
    its definition is, or after `retry_discovery`, and never polled. Caches that share `list_slots`
    list only so many kinds at once: a decoded page takes ten times its text.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        store: Store,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        transform: Callable[[Json], Json] = lambda obj: obj,
        optional: bool = False,
        list_slots: asyncio.Semaphore | None = None,
    ) -> None:
        self._optional = optional
        self._list_slots = list_slots or asyncio.Semaphore()
        self.resource = resource
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._transform = transform
        self._store = store
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._synced = asyncio.Event()
        self._installed = asyncio.Event()
        self._last_word: float | None = None  # loop seconds; None while no word is expected

    @property
    def silent_seconds(self) -> float:
        """Return the time since the API server's last word of this kind; 0 before the first list,
        and for a kind that is not installed. A working watch ends and begins again once a
        minute."""
        if self._last_word is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._last_word

    @property
    def is_synced(self) -> bool:
        """Whether every object that existed at the start is known."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        await self._synced.wait()

    @property
    def version(self) -> int:
        """Return the version up to which the watch has reported every change."""
        return self._store.version

    async def wait_for_version(self, version: int) -> None:
        """Wait until the watch has reported every change up to this version. Put a time-out around
        it."""
        if self._store.version < version:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((version, waiter))
            await waiter

    def __len__(self) -> int:
        return len(self._store)

    def get(self, namespace: str, name: str) -> Json | None:
        return self._store.get((namespace, name))

    def all(self) -> Iterable[Json]:
        return self._store.all()

    def by_index(self, value: Hashable) -> tuple[Json, ...]:
        return self._store.by_index(value)

    @property
    def groups(self) -> Set[Hashable]:
        return self._store.groups

    def observe(self, obj: Json, *, is_news: bool = True) -> None:
        """Take the response to a write, so that the next read sees it before the watch reports
        it. `on_change` is not called for one that is no news."""
        self.retry_discovery()
        self._store.observe(self._transform_news(obj), is_news=is_news)

    def retry_discovery(self) -> None:
        """List a kind again that was not installed. Costs nothing for an installed one."""
        self._installed.set()

    async def run(self) -> None:
        """List, then watch, until cancelled. A broken watch resumes from where it was; one that
        cannot (410, an error in the stream) lists again."""
        wait = _FIRST_WAIT_SECONDS
        is_listed = False
        clock = asyncio.get_running_loop().time
        while True:
            try:
                if not is_listed:
                    await self._list()
                    is_listed = True
                started = clock()
                is_silent = not await self._watch()
                if clock() - started >= _SHORT_SECONDS:
                    wait = _FIRST_WAIT_SECONDS
                    is_listed = not (is_silent and await self._is_restored())
                    continue
            except GoneError:
                is_listed = False
            except ApiError as error:
                is_listed = False
                if self._optional and isinstance(error, NotFoundError):
                    await self._wait_installed()
                else:
                    _log.warning("watch failed", kind=self.resource.kind, error=str(error))
            except UnreachableError as error:
                _log.warning("watch interrupted", kind=self.resource.kind, error=str(error))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  (jitter)
            wait = min(wait * 2, _MAX_WAIT_SECONDS)

    async def _wait_installed(self) -> None:
        """Wait for a kind that is not installed. Meanwhile the cache is empty and counts as
        synced."""
        self._store.reset((), self._store.version)
        self._last_word = None
        self._synced.set()
        definition = asyncio.create_task(self._watch_definition())
        try:
            await self._installed.wait()
        finally:
            definition.cancel()
            await asyncio.gather(definition, return_exceptions=True)
        self._installed.clear()

    async def _watch_definition(self) -> None:
        """Let the kind be listed again when its definition is there."""
        wait = _FIRST_WAIT_SECONDS
        while not self._installed.is_set():
            try:
                await wait_served(self._client, self.resource)
                self._installed.set()
            except (ApiError, UnreachableError) as error:
                kind = self.resource.kind
                _log.warning("watch of a definition failed", kind=kind, error=str(error))
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  (jitter)
                wait = min(wait * 2, _MAX_WAIT_SECONDS)

    async def _list(self) -> None:
        """List all objects. Without a resourceVersion this is the newest state, so that a restart
        never sees an older one than before (kubernetes#59848)."""
        entries: list[Entry] = []
        version = 0
        pages = self._client.list_pages(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            page_size=_PAGE_SIZE,
        )
        # Items of a list have no kind.
        head = {"apiVersion": self.resource.api_version, "kind": self.resource.kind}
        async with self._list_slots:
            async for page in pages:
                objects = (self._transform({**head, **item}) for item in page["items"])
                entries.extend(map(self._store.entry, objects))
                version = int(page["metadata"]["resourceVersion"])
                del page, objects  # before the next page is decoded
        self._note_word()
        self._store.reset(entries, version)
        self._synced.set()
        self._wake_waiters()

    async def _is_restored(self) -> bool:
        """Whether the API server is behind what it has reported: its data were restored from a
        backup. Its watch then says nothing before it has caught up, not even a bookmark."""
        pages = self._client.list_pages(
            self.resource, self._namespace, label_selector=self._label_selector, page_size=1
        )
        page = await anext(pages)
        version = int(page["metadata"]["resourceVersion"])
        if version >= self._store.version:
            return False
        _log.warning(
            "the API server is behind what it reported; listing again",
            kind=self.resource.kind,
            version=version,
            known_version=self._store.version,
        )
        return True

    async def _watch(self) -> bool:
        """Watch until the API server ends it. Return whether it said anything, if only a
        bookmark."""
        has_spoken = False
        events = self._client.watch(
            self.resource,
            resource_version=str(self._store.version),
            namespace=self._namespace,
            label_selector=self._label_selector,
        )
        async for event in events:
            has_spoken = True
            self._note_word()
            if event.type == "BOOKMARK":
                version = int(event.object["metadata"]["resourceVersion"])
                self._store.version = max(self._store.version, version)
            elif event.type == "DELETED":
                self._store.remove(event.object)
            else:
                self._store.put(self._transform_news(event.object))
            self._wake_waiters()
        self._note_word()
        return has_spoken

    def _note_word(self) -> None:
        self._last_word = asyncio.get_running_loop().time()

    def _wake_waiters(self) -> None:
        if not self._waiters:
            return
        waiting = []
        for version, waiter in self._waiters:
            if version > self._store.version and not waiter.done():
                waiting.append((version, waiter))
            elif not waiter.done():
                waiter.set_result(None)
        self._waiters = waiting

    def _transform_news(self, obj: Json) -> Json:
        """Transform an object unless the store has it: most events repeat our own writes."""
        return obj if self._store.has(obj) else self._transform(obj)


def staleness(caches: Iterable[Cache]) -> str:
    """Return why these caches cannot be trusted now; empty when they can."""
    for cache in caches:
        if not cache.is_synced:
            return f"{cache.resource.kind} is not listed yet"
        if cache.silent_seconds > _SILENT_SECONDS:
            return f"the watch of {cache.resource.kind} is silent"
    return ""
