"""Measure the API's cost and speed beside the Kubernetes API server's."""

import asyncio
import itertools
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self

import aiohttp

from aichat_workspace.kube.client import Client
from benchmarks.api import server
from benchmarks.api.server import Server
from benchmarks.api.watchers import Watchers, mark
from benchmarks.cluster.control_plane import Plane
from benchmarks.cluster.population import (
    MANAGER,
    TEAMS,
    WORKSPACE,
    Caller,
    Callers,
    callers,
    name_of,
    populate,
    status,
    team_of,
    workspace,
)
from benchmarks.measuring.latencies import Call, Latencies, latencies, one_by_one, paced
from benchmarks.measuring.report import Row

_LIST: Final = "/api/v1/workspaces?limit=1000"
_SOME_FIELDS: Final = f"{_LIST}&fields=name,team,status.phase,status.url"
_ALONE: Final = 20.0
_LISTS: Final = 20.0
_DIRECT_LISTS: Final = 10
_READS: Final = 200.0
_COMPARED_READS: Final = 50.0
_CREATES: Final = 10.0
_CHANGES: Final = 4.0
_SYNC_SECONDS: Final = 300.0
_DELIVERY_SECONDS: Final = 20.0
_IDLE_SECONDS: Final = 3.0  # less than any server's, so that no request meets a closing connection
_REQUEST: Final = aiohttp.ClientTimeout(total=120)


@dataclass(frozen=True, slots=True)
class Size:
    workspaces: int
    callers: int
    watchers: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A client of both servers; `direct` is the Kubernetes API server's URL."""

    size: Size
    admin: Client
    api: Server
    direct: str
    session: aiohttp.ClientSession
    callers: Callers
    _names: Iterator[int] = field(default_factory=itertools.count)
    marks: Iterator[int] = field(default_factory=itertools.count)
    """Numbers of changes, each used once."""

    @classmethod
    @asynccontextmanager
    async def start(cls, plane: Plane, size: Size) -> AsyncIterator[Self]:
        trusted = ssl.create_default_context(cafile=str(plane.ca_file))
        connector = aiohttp.TCPConnector(limit=0, ssl=trusted, keepalive_timeout=_IDLE_SECONDS)
        async with (
            await Client.connect(str(plane.kubeconfig), user_agent=MANAGER) as admin,
            aiohttp.ClientSession(connector=connector, timeout=_REQUEST) as session,
        ):
            await populate(admin, size.workspaces)
            bench_callers = await callers(admin, size.callers)
            async with server.running(plane.api_kubeconfig, session) as api:
                yield cls(size, admin, api, plane.server, session, bench_callers)

    def api_headers(self, n: int, callers: Sequence[Caller] | None = None) -> dict[str, str]:
        """Return the n-th caller's headers for the API; by default of callers everywhere."""
        known = callers or self.callers.everywhere
        return {"Authorization": f"Bearer {known[n % len(known)].token}"}

    def direct_headers(self, n: int) -> dict[str, str]:
        """Return the n-th caller's headers for the Kubernetes API server."""
        known = self.callers.everywhere
        return {"Authorization": f"Bearer {known[n % len(known)].direct}"}

    async def read(
        self, path: str, per_second: float, callers: Sequence[Caller] | None = None
    ) -> Latencies:
        known = callers or self.callers.everywhere
        return await self._pace(
            lambda n: self._get(self.api.url + path, self.api_headers(n, known)),
            per_second,
            known=len(known),
        )

    async def list_direct(self) -> Latencies:
        url = self.direct + WORKSPACE.path()
        return await one_by_one(
            lambda _: self._get_patiently(url, self.direct_headers(0)), _DIRECT_LISTS
        )

    async def read_direct(self, path: str, per_second: float) -> Latencies:
        return await self._pace(
            lambda n: self._get_patiently(self.direct + path, self.direct_headers(n)),
            per_second,
            known=self.size.callers,
        )

    async def create(self) -> Latencies:
        async def send(n: int) -> None:
            body = workspace(f"made-{next(self._names):05}", team_of(n))
            request = {"team": team_of(n), "spec": body["spec"]}
            await self._post(f"{self.api.url}/api/v1/workspaces", request, self.api_headers(n))

        return await self._pace(send, _CREATES, known=self.size.callers)

    async def create_direct(self) -> Latencies:
        async def send(n: int) -> None:
            body = workspace(f"made-{next(self._names):05}", team_of(n))
            path = f"{self.direct}{WORKSPACE.path(team_of(n))}?fieldValidation=Strict"
            await self._post(path, body, self.direct_headers(n))

        return await self._pace(send, _CREATES, known=self.size.callers)

    async def _pace(self, call: Call, per_second: float, *, known: int) -> Latencies:
        """Measure once every caller's token is in the server's cache."""
        await paced(call, per_second, known / per_second)
        return await paced(call, per_second, self.size.seconds)

    async def _get(self, url: str, headers: Mapping[str, str]) -> None:
        async with self.session.get(url, headers=headers) as response:
            await response.read()
            response.raise_for_status()

    async def _get_patiently(self, url: str, headers: Mapping[str, str]) -> None:
        """Retry after the time that a busy Kubernetes API server names, as its clients do."""
        while True:
            try:
                return await self._get(url, headers)
            except aiohttp.ClientResponseError as error:
                if error.status != 429:
                    raise
                retry_after = error.headers.get("Retry-After", "1") if error.headers else "1"
                await asyncio.sleep(float(retry_after))

    async def _post(self, url: str, body: object, headers: Mapping[str, str]) -> None:
        async with self.session.post(url, json=body, headers=headers) as response:
            text = await response.text()
            if response.status != 201:
                raise RuntimeError(f"POST {url}: {response.status} {text[:300]}")


async def measure(plane: Plane, size: Size) -> AsyncIterator[Row]:
    """Yield each figure as soon as it is known."""
    async with Bench.start(plane, size) as bench:
        idle = await bench.api.sample()
        yield Row(f"memory with {size.workspaces} workspaces", f"{idle.rss_mib:.0f} MiB")
        for measurement in (_reads, _creates, _watches, _team_watches):
            for row in await measurement(bench):
                yield row


async def _reads(bench: Bench) -> list[Row]:
    path = WORKSPACE.path(team_of(0), name_of(0))
    many = f"{bench.size.callers} callers"
    listing = f"list of {bench.size.workspaces}"
    before = await bench.api.sample()
    one_caller = bench.callers.everywhere[:1]
    alone = await bench.read(_LIST, _ALONE, one_caller)
    fields = await bench.read(_SOME_FIELDS, _ALONE, one_caller)
    start = await bench.api.sample()
    together = await bench.read(_LIST, _LISTS)
    list_cpu = (await bench.api.sample()).cpu_since(start)
    fields_together = await bench.read(_SOME_FIELDS, _LISTS)
    before_teams = await bench.api.sample()
    of_teams = await bench.read(_LIST, _LISTS, bench.callers.of_teams)
    after_teams = await bench.api.sample()
    start = await bench.api.sample()
    reads = await bench.read(f"/api/v1/workspaces/{name_of(0)}", _READS)
    read_cpu = (await bench.api.sample()).cpu_since(start)
    after = await bench.api.sample()
    theirs = "the Kubernetes API server's"
    direct = await bench.list_direct()
    beside, direct_one = await asyncio.gather(
        bench.read(f"/api/v1/workspaces/{name_of(0)}", _COMPARED_READS),
        bench.read_direct(path, _COMPARED_READS),
    )
    goal = "p99 < 50 ms"
    return [
        Row(f"{listing}, one caller", str(alone), goal, alone.ratio_to(direct, theirs)),
        Row(f"{listing}, four fields, one caller", str(fields), goal),
        Row(f"{listing}, {many}, {_LISTS:.0f}/s", str(together), goal, f"{list_cpu:.0%} of a core"),
        Row(f"{listing}, four fields, {many}, {_LISTS:.0f}/s", str(fields_together), goal),
        Row(
            f"list of {bench.size.workspaces // TEAMS} of {bench.size.workspaces}, {many} of "
            f"{TEAMS} teams, {_LISTS:.0f}/s",
            str(of_teams),
            goal,
            f"{after_teams.cpu_since(before_teams):.0%} of a core, "
            f"{after_teams.upstream_since(before_teams)}",
        ),
        Row(
            f"read of one, {many}, {_READS:.0f}/s",
            str(reads),
            "",
            f"{read_cpu:.0%} of a core",
        ),
        Row(
            f"read of one, {many}, {_COMPARED_READS:.0f}/s of each at once",
            str(beside),
            "",
            beside.ratio_to(direct_one, theirs),
        ),
        Row("requests upstream for all these reads", after.upstream_since(before), "0"),
    ]


async def _watches(bench: Bench) -> list[Row]:
    return await _measure_watchers(bench, bench.callers.everywhere, 1)


async def _team_watches(bench: Bench) -> list[Row]:
    return await _measure_watchers(bench, bench.callers.of_teams, TEAMS)


async def _measure_watchers(bench: Bench, callers: Sequence[Caller], teams: int) -> list[Row]:
    """Measure watchers of one of so many teams each, or of everything with one team."""
    count = bench.size.watchers
    who = f"{count} watchers" if teams == 1 else f"{count} watchers of {teams} teams"
    before = await bench.api.sample()
    watchers, direct = Watchers(bench.session), Watchers(bench.session)
    seconds = await _start_watchers(bench, watchers, callers)
    synced = await bench.api.sample()
    direct.begun = watchers.begun
    page = await anext(bench.admin.list_pages(WORKSPACE, page_size=1))
    version = page["metadata"]["resourceVersion"]
    watch = f"{bench.direct}{WORKSPACE.path()}?watch=true&resourceVersion={version}"
    direct.start(watch, bench.direct_headers(0))
    changes = round(_CHANGES * bench.size.seconds)

    async def change(n: int) -> None:
        number = next(bench.marks)
        body = status(name_of(n), team_of(n), mark(number))
        watchers.begun[number] = time.perf_counter()
        await bench.admin.apply(WORKSPACE, body, field_manager=MANAGER, subresource="status")

    await paced(change, _CHANGES, bench.size.seconds)
    seen_by = Counter(n % len(callers) % teams for n in range(count))
    expected = sum(seen_by[n % teams] for n in range(changes))
    await watchers.wait_delivered(expected, _DELIVERY_SECONDS)
    after = await bench.api.sample()
    await watchers.stop()
    await direct.stop()
    await asyncio.sleep(1)
    ended = await bench.api.sample()
    deliveries = len(watchers.delays)
    cost = (after.cpu_seconds - synced.cpu_seconds) / max(deliveries, 1) * 1e6
    delivery = latencies(watchers.delays)
    return [
        Row(f"{who} begin, and are told everything there is", f"{seconds:.1f} s"),
        Row(
            f"change to each of {who} who sees it, {_CHANGES:.0f} changes/s",
            str(delivery),
            f"all {expected} told",
            delivery.ratio_to(latencies(direct.delays), "one watch of the API server itself"),
        ),
        Row(
            "told",
            f"{deliveries}",
            "",
            f"{after.cpu_since(synced):.0%} of a core, {cost:.0f} µs each",
        ),
        Row(
            f"memory with {who}",
            f"{after.rss_mib:.0f} MiB",
            "",
            f"{before.rss_mib:.0f} MiB before, {ended.rss_mib:.0f} MiB after",
        ),
        Row(
            f"requests upstream for {who}, {bench.size.callers} callers",
            after.upstream_since(before),
            "0",
            f"in {after.time - before.time:.0f} s",
        ),
    ]


async def _start_watchers(bench: Bench, watchers: Watchers, callers: Sequence[Caller]) -> float:
    """Return the seconds until all watchers have received everything."""
    start = time.perf_counter()
    for n in range(bench.size.watchers):
        watchers.start(f"{bench.api.url}/api/v1/workspaces:watch", bench.api_headers(n, callers))
    await watchers.wait_synced(bench.size.watchers, _SYNC_SECONDS)
    return time.perf_counter() - start


async def _creates(bench: Bench) -> list[Row]:
    ours, direct = await asyncio.gather(bench.create(), bench.create_direct())
    return [
        Row(
            f"create, {bench.size.callers} callers, {_CREATES:.0f}/s of each at once",
            str(ours),
            "p99 < 250 ms",
            ours.ratio_to(direct, "a plain POST to the Kubernetes API server"),
        )
    ]
