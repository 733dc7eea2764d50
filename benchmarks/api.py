"""What the API costs and how fast it is, beside the Kubernetes API server itself."""

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
from benchmarks import server
from benchmarks.controlplane import Plane
from benchmarks.load import Call, Latencies, latencies, one_by_one, paced
from benchmarks.population import (
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
from benchmarks.report import Row
from benchmarks.server import Server
from benchmarks.watching import Watchers, mark

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
_TOLD_SECONDS: Final = 20.0
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
    """One client for both servers; `direct` is the Kubernetes API server's URL."""

    size: Size
    admin: Client
    api: Server
    direct: str
    session: aiohttp.ClientSession
    callers: Callers
    _names: Iterator[int] = field(default_factory=itertools.count)
    marks: Iterator[int] = field(default_factory=itertools.count)
    """Of changes that nobody has made before."""

    @classmethod
    @asynccontextmanager
    async def of(cls, plane: Plane, size: Size) -> AsyncIterator[Self]:
        trusted = ssl.create_default_context(cafile=str(plane.ca_file))
        connector = aiohttp.TCPConnector(limit=0, ssl=trusted, keepalive_timeout=_IDLE_SECONDS)
        async with (
            await Client.connect(str(plane.kubeconfig), user_agent=MANAGER) as admin,
            aiohttp.ClientSession(connector=connector, timeout=_REQUEST) as session,
        ):
            await populate(admin, size.workspaces)
            known = await callers(admin, size.callers)
            async with server.running(plane.api_kubeconfig, session) as api:
                yield cls(size, admin, api, plane.server, session, known)

    def ours(self, n: int, callers: Sequence[Caller] | None = None) -> dict[str, str]:
        """The n-th request is of the n-th caller, of those everywhere unless others are given."""
        known = callers or self.callers.everywhere
        return {"Authorization": f"Bearer {known[n % len(known)].token}"}

    def theirs(self, n: int) -> dict[str, str]:
        known = self.callers.everywhere
        return {"Authorization": f"Bearer {known[n % len(known)].direct}"}

    async def read(
        self, path: str, per_second: float, callers: Sequence[Caller] | None = None
    ) -> Latencies:
        known = callers or self.callers.everywhere
        return await self._pace(
            lambda n: self._get(self.api.url + path, self.ours(n, known)),
            per_second,
            known=len(known),
        )

    async def list_direct(self) -> Latencies:
        url = self.direct + WORKSPACE.path()
        return await one_by_one(lambda _: self._get_patiently(url, self.theirs(0)), _DIRECT_LISTS)

    async def read_direct(self, path: str, per_second: float) -> Latencies:
        return await self._pace(
            lambda n: self._get_patiently(self.direct + path, self.theirs(n)),
            per_second,
            known=self.size.callers,
        )

    async def create(self) -> Latencies:
        async def one(n: int) -> None:
            made = workspace(f"made-{next(self._names):05}", team_of(n))
            body = {"team": team_of(n), "spec": made["spec"]}
            await self._post(f"{self.api.url}/api/v1/workspaces", body, self.ours(n))

        return await self._pace(one, _CREATES, known=self.size.callers)

    async def create_direct(self) -> Latencies:
        async def one(n: int) -> None:
            made = workspace(f"made-{next(self._names):05}", team_of(n))
            path = f"{self.direct}{WORKSPACE.path(team_of(n))}?fieldValidation=Strict"
            await self._post(path, made, self.theirs(n))

        return await self._pace(one, _CREATES, known=self.size.callers)

    async def _pace(self, call: Call, per_second: float, *, known: int) -> Latencies:
        """After each of the callers is known, as is so for whoever has just asked before."""
        await paced(call, per_second, known / per_second)
        return await paced(call, per_second, self.size.seconds)

    async def _get(self, url: str, headers: Mapping[str, str]) -> None:
        async with self.session.get(url, headers=headers) as answer:
            await answer.read()
            answer.raise_for_status()

    async def _get_patiently(self, url: str, headers: Mapping[str, str]) -> None:
        """The Kubernetes API server may be too busy; then every client of it waits as told."""
        while True:
            try:
                return await self._get(url, headers)
            except aiohttp.ClientResponseError as error:
                if error.status != 429:
                    raise
                told = error.headers.get("Retry-After", "1") if error.headers else "1"
                await asyncio.sleep(float(told))

    async def _post(self, url: str, body: object, headers: Mapping[str, str]) -> None:
        async with self.session.post(url, json=body, headers=headers) as answer:
            told = await answer.text()
            if answer.status != 201:
                raise RuntimeError(f"POST {url}: {answer.status} {told[:300]}")


async def measure(plane: Plane, size: Size) -> AsyncIterator[Row]:
    """Each figure as soon as it is known."""
    async with Bench.of(plane, size) as bench:
        idle = await bench.api.look()
        yield Row(f"memory with {size.workspaces} workspaces", f"{idle.rss_mib:.0f} MiB")
        for part in (_reads, _creates, _watches, _team_watches):
            for row in await part(bench):
                yield row


async def _reads(bench: Bench) -> list[Row]:
    one = WORKSPACE.path(team_of(0), name_of(0))
    many = f"{bench.size.callers} callers"
    of = f"list of {bench.size.workspaces}"
    before = await bench.api.look()
    one_caller = bench.callers.everywhere[:1]
    alone = await bench.read(_LIST, _ALONE, one_caller)
    fields = await bench.read(_SOME_FIELDS, _ALONE, one_caller)
    began = await bench.api.look()
    together = await bench.read(_LIST, _LISTS)
    took = (await bench.api.look()).cpu_since(began)
    fields_together = await bench.read(_SOME_FIELDS, _LISTS)
    unlisted = await bench.api.look()
    own = await bench.read(_LIST, _LISTS, bench.callers.of_teams)
    listed = await bench.api.look()
    began = await bench.api.look()
    reads = await bench.read(f"/api/v1/workspaces/{name_of(0)}", _READS)
    reading = (await bench.api.look()).cpu_since(began)
    after = await bench.api.look()
    theirs = "the Kubernetes API server's"
    direct = await bench.list_direct()
    beside, direct_one = await asyncio.gather(
        bench.read(f"/api/v1/workspaces/{name_of(0)}", _COMPARED_READS),
        bench.read_direct(one, _COMPARED_READS),
    )
    goal = "p99 < 50 ms"
    return [
        Row(f"{of}, one caller", str(alone), goal, alone.ratio_to(direct, theirs)),
        Row(f"{of}, four fields, one caller", str(fields), goal),
        Row(f"{of}, {many}, {_LISTS:.0f}/s", str(together), goal, f"{took:.0%} of a core"),
        Row(f"{of}, four fields, {many}, {_LISTS:.0f}/s", str(fields_together), goal),
        Row(
            f"list of {bench.size.workspaces // TEAMS} of {bench.size.workspaces}, {many} of "
            f"{TEAMS} teams, {_LISTS:.0f}/s",
            str(own),
            goal,
            f"{listed.cpu_since(unlisted):.0%} of a core, {listed.asked_since(unlisted)}",
        ),
        Row(
            f"read of one, {many}, {_READS:.0f}/s",
            str(reads),
            "",
            f"{reading:.0%} of a core",
        ),
        Row(
            f"read of one, {many}, {_COMPARED_READS:.0f}/s of each at once",
            str(beside),
            "",
            beside.ratio_to(direct_one, theirs),
        ),
        Row("requests upstream for all these reads", after.asked_since(before), "0"),
    ]


async def _watches(bench: Bench) -> list[Row]:
    return await _watched(bench, bench.callers.everywhere, 1)


async def _team_watches(bench: Bench) -> list[Row]:
    return await _watched(bench, bench.callers.of_teams, TEAMS)


async def _watched(bench: Bench, callers: Sequence[Caller], teams: int) -> list[Row]:
    """Each watcher sees one of so many teams, or everything where there is one."""
    count = bench.size.watchers
    who = f"{count} watchers" if teams == 1 else f"{count} watchers of {teams} teams"
    before = await bench.api.look()
    ours, direct = Watchers(bench.session), Watchers(bench.session)
    took = await _begin(bench, ours, callers)
    synced = await bench.api.look()
    direct.begun = ours.begun
    page = await anext(bench.admin.list_pages(WORKSPACE, page_size=1))
    version = page["metadata"]["resourceVersion"]
    watch = f"{bench.direct}{WORKSPACE.path()}?watch=true&resourceVersion={version}"
    direct.start(watch, bench.theirs(0))
    changes = round(_CHANGES * bench.size.seconds)

    async def change(n: int) -> None:
        number = next(bench.marks)
        told = status(name_of(n), team_of(n), mark(number))
        ours.begun[number] = time.perf_counter()
        await bench.admin.apply(WORKSPACE, told, field_manager=MANAGER, subresource="status")

    await paced(change, _CHANGES, bench.size.seconds)
    seen_by = Counter(n % len(callers) % teams for n in range(count))
    expected = sum(seen_by[n % teams] for n in range(changes))
    await ours.wait_told(expected, _TOLD_SECONDS)
    after = await bench.api.look()
    await ours.stop()
    await direct.stop()
    await asyncio.sleep(1)
    ended = await bench.api.look()
    told = len(ours.delays)
    cost = (after.cpu_seconds - synced.cpu_seconds) / max(told, 1) * 1e6
    delivery = latencies(ours.delays)
    return [
        Row(f"{who} begin, and are told everything there is", f"{took:.1f} s"),
        Row(
            f"change to each of {who} who sees it, {_CHANGES:.0f} changes/s",
            str(delivery),
            f"all {expected} told",
            delivery.ratio_to(latencies(direct.delays), "one watch of the API server itself"),
        ),
        Row("told", f"{told}", "", f"{after.cpu_since(synced):.0%} of a core, {cost:.0f} µs each"),
        Row(
            f"memory with {who}",
            f"{after.rss_mib:.0f} MiB",
            "",
            f"{before.rss_mib:.0f} MiB before, {ended.rss_mib:.0f} MiB after",
        ),
        Row(
            f"requests upstream for {who}, {bench.size.callers} callers",
            after.asked_since(before),
            "0",
            f"in {after.at - before.at:.0f} s",
        ),
    ]


async def _begin(bench: Bench, watchers: Watchers, callers: Sequence[Caller]) -> float:
    """How long it takes until everybody knows everything."""
    began = time.perf_counter()
    for n in range(bench.size.watchers):
        watchers.start(f"{bench.api.url}/api/v1/workspaces:watch", bench.ours(n, callers))
    await watchers.wait_synced(bench.size.watchers, _SYNC_SECONDS)
    return time.perf_counter() - began


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
