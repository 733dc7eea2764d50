"""What one kind looks like in the cluster: one list and watch, shared by all who ask."""

import asyncio
import random
from collections.abc import Callable, Hashable, Iterable
from typing import Final

import structlog

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError, GoneError, NotFoundError, UnreachableError
from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.store import Index, OnChange, Store

# Three watches in a row that said nothing, not even their end.
_SILENT_SECONDS: Final = 180.0
# The API server ends a watch after 50 seconds; one that ends at once is not opened again at once.
_SHORT_SECONDS: Final = 1.0
_FIRST_WAIT_SECONDS: Final = 0.2
_MAX_WAIT_SECONDS: Final = 10.0
_log: Final = structlog.get_logger()


class Cache:
    """A watch cache of one kind.

    `transform` sees each object before it is kept (drop there what nobody reads), `index` groups
    objects, `on_change` is told of every change while the store already holds it. An `optional`
    kind may not be installed: it is asked for again after `retry_discovery`, and never polled.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        on_change: OnChange,
        namespace: str | None = None,
        label_selector: str = "",
        transform: Callable[[Json], Json] = lambda obj: obj,
        index: Index = lambda _: None,
        optional: bool = False,
    ) -> None:
        self._optional = optional
        self.resource = resource
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._transform = transform
        self._store = Store(index, on_change)
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._synced = asyncio.Event()
        self._installed = asyncio.Event()
        self._heard: float | None = None  # loop seconds; None while nothing is to be heard

    @property
    def silent_seconds(self) -> float:
        """Since the API server last said anything of this kind. A watch that is well ends and
        begins again once a minute; 0 before the first list, and for a kind nobody installed."""
        if self._heard is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._heard

    @property
    def synced(self) -> bool:
        """Whether everything that was there at the start is known."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        await self._synced.wait()

    @property
    def version(self) -> int:
        """How far the watch has told everything."""
        return self._store.version

    async def wait_for_version(self, version: int) -> None:
        """Wait until the watch has told everything up to this version. Put a time-out around it."""
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

    def observe(self, obj: Json) -> None:
        """Take in the reply to a write, so that the next look sees it before the watch tells."""
        self.retry_discovery()
        self._store.observe(self._transform_news(obj))

    def retry_discovery(self) -> None:
        """A kind that was not installed may be by now. Costs nothing for one that is."""
        self._installed.set()

    async def run(self) -> None:
        """List, then watch, for ever. A broken watch goes on from where it was; one that cannot
        (410, an error in the stream) lists again."""
        wait = _FIRST_WAIT_SECONDS
        listed = False
        clock = asyncio.get_running_loop().time
        while True:
            try:
                if not listed:
                    await self._list()
                    listed = True
                began = clock()
                await self._watch()
                if clock() - began >= _SHORT_SECONDS:
                    wait = _FIRST_WAIT_SECONDS
                    continue
            except GoneError:
                listed = False
            except ApiError as error:
                listed = False
                if self._optional and isinstance(error, NotFoundError):
                    await self._until_installed()
                    continue
                _log.warning("watch failed", kind=self.resource.kind, error=str(error))
            except UnreachableError as error:
                _log.warning("watch broke", kind=self.resource.kind, error=str(error))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  (jitter)
            wait = min(wait * 2, _MAX_WAIT_SECONDS)

    async def _until_installed(self) -> None:
        """There is nothing of a kind that nobody has installed."""
        self._heard = None
        self._synced.set()
        await self._installed.wait()
        self._installed.clear()

    async def _list(self) -> None:
        """Read everything as it is now: no resourceVersion asks for the newest state, so that a
        restart never sees an older one than before (kubernetes#59848)."""
        objects: list[Json] = []
        version = 0
        pages = self._client.list_pages(
            self.resource, self._namespace, label_selector=self._label_selector
        )
        async for page in pages:
            # Items of a list do not say what they are.
            head = {"apiVersion": self.resource.api_version, "kind": self.resource.kind}
            objects.extend(self._transform({**head, **item}) for item in page["items"])
            version = int(page["metadata"]["resourceVersion"])
        self._hear()
        self._store.reset(objects, version)
        self._synced.set()
        self._advanced()

    async def _watch(self) -> None:
        events = self._client.watch(
            self.resource,
            resource_version=str(self._store.version),
            namespace=self._namespace,
            label_selector=self._label_selector,
        )
        async for event in events:
            self._hear()
            if event.type == "BOOKMARK":
                version = int(event.object["metadata"]["resourceVersion"])
                self._store.version = max(self._store.version, version)
            elif event.type == "DELETED":
                self._store.remove(event.object)
            else:
                self._store.put(self._transform_news(event.object))
            self._advanced()
        self._hear()

    def _hear(self) -> None:
        self._heard = asyncio.get_running_loop().time()

    def _advanced(self) -> None:
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
    """Why what these hold can't be trusted now; empty when it can."""
    for cache in caches:
        if not cache.synced:
            return f"{cache.resource.kind} is not listed yet"
        if cache.silent_seconds > _SILENT_SECONDS:
            return f"the watch of {cache.resource.kind} is silent"
    return ""
