"""What the stream says; how it comes through is shown against a real API server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.workspaces import change_log, watch
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.watch import ResumeToken, Watcher
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import UnreachableError
from aichat_workspace.kube.store import Store
from tests.unit.api.samples import resource

EVERYWHERE = Scope(everywhere=True)


@dataclass
class World:
    """A directory whose store is written by hand."""

    cluster: ClusterView
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    scope: Scope | Exception = EVERYWHERE
    asked: int = 0

    @property
    def store(self) -> Store:
        return self.cluster.workspaces._store

    async def now(self) -> Scope:
        self.asked += 1
        if isinstance(self.scope, Exception):
            raise self.scope
        return self.scope

    def watcher(self, heartbeat_seconds: float = 60, recheck_seconds: float = 0) -> Watcher:
        return Watcher(
            self.cluster,
            self.now,
            lambda _: True,
            self.stopping,
            "",
            heartbeat_seconds,
            recheck_seconds,
        )


@dataclass
class ApiServerVersion:
    """What the API server says."""

    at: int
    known: bool = True
    listed: int = 0

    async def version(self) -> int:
        return self.at

    async def is_complete(self) -> bool:
        self.listed += 1
        return self.known


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(change_log, "_GATHER_SECONDS", 0)
    client = Client.__new__(Client)  # nothing here asks the API server
    return World(ClusterView(client, {}))


async def _until(events: AsyncIterator[bytes], last: str) -> list[tuple[str, str | None]]:
    """Kinds and ids, up to an event of this kind."""
    found: list[tuple[str, str | None]] = []
    async with asyncio.timeout(30):
        async for piece in events:
            for block in piece.decode().split("\n\n"):
                lines = dict(each.split(": ", 1) for each in block.split("\n") if ": " in each)
                if "event" in lines:
                    found.append((lines["event"], lines.get("id")))
                elif block.startswith(":"):
                    found.append(("heartbeat", None))
            if found and found[-1][0] == last:
                return found
    return found


async def test_a_stream_begins_with_everything_and_has_no_id_until_then(world: World) -> None:
    world.store.reset([resource("a", version=3), resource("b", version=5)], 7)
    watcher = world.watcher()
    told = await _until(watcher.events(None), "synced")
    mark = str(ResumeToken(7, watcher.scope_hash(EVERYWHERE)))
    assert told == [("reset", ""), ("ADDED", None), ("ADDED", None), ("synced", mark)]


async def test_each_change_has_an_id_to_go_on_from(world: World) -> None:
    world.store.reset([], 1)
    events = world.watcher().events(0)
    await _until(events, "synced")
    world.store.put(resource("a", version=2))
    world.store.put(resource("b", version=3))
    world.store.put(resource("a", version=4))
    scope_hash = world.watcher().scope_hash(EVERYWHERE)
    assert await _until(events, "MODIFIED") == [
        ("ADDED", f"3-{scope_hash}"),
        ("MODIFIED", f"4-{scope_hash}"),
    ]
    world.store.remove(resource("b", version=5))
    assert await _until(events, "DELETED") == [("DELETED", f"5-{scope_hash}")]


async def test_of_changes_that_share_a_version_only_the_last_has_an_id(world: World) -> None:
    world.store.reset([], 1)
    events = world.watcher().events(0)
    await _until(events, "synced")
    world.store.reset([resource("a", version=2), resource("b", version=3)], 9)
    told = await _until(events, "ADDED")
    assert [mark is not None for _, mark in told] == [False, True]


async def test_a_changed_permission_begins_anew(world: World) -> None:
    world.store.reset([resource("a", team="one"), resource("b", team="two")], 1)
    world.scope = Scope(everywhere=False, teams=frozenset({"one"}))
    events = world.watcher().events(None)
    assert len(await _until(events, "synced")) == 3
    world.scope = Scope(everywhere=False, teams=frozenset({"one", "two"}))
    world.store.put(resource("c", team="one", version=2))
    told = await _until(events, "synced")
    assert [kind for kind, _ in told] == ["reset", "ADDED", "ADDED", "ADDED", "synced"]


@pytest.mark.parametrize(
    "nobody",
    [Scope(everywhere=False), ProblemError(401, "unauthenticated", "x"), UnreachableError("x")],
)
async def test_a_stream_ends_when_its_permission_does_or_nobody_can_say(
    world: World, nobody: Scope | Exception
) -> None:
    world.store.reset([], 1)
    events = world.watcher().events(None)
    await _until(events, "synced")
    world.scope = nobody
    world.store.put(resource("a", version=2))
    assert [kind for kind, _ in await _until(events, "end")] == ["end"]


async def test_permission_is_not_asked_for_with_every_change(world: World) -> None:
    world.store.reset([], 1)
    events = world.watcher(recheck_seconds=60).events(None)
    await _until(events, "synced")
    for version in range(2, 12):
        world.store.put(resource("a", version=version))
        await _until(events, "ADDED" if version == 2 else "MODIFIED")
    assert world.asked == 1


async def test_who_reads_slowly_is_told_no_more_once_the_permission_ends(world: World) -> None:
    large = {"models": ["x" * 40_000]}
    world.store.reset([resource(f"a{at}", spec=large) for at in range(20)], 1)
    events = world.watcher().events(None)
    assert await anext(events) == b"retry: 1000\n\n"
    assert await anext(events)
    world.scope = Scope(everywhere=False)
    assert [kind for kind, _ in await _until(events, "end")] == ["end"]


async def test_everything_comes_in_pieces_of_so_many_bytes(world: World) -> None:
    large = {"models": ["x" * 10_000]}
    world.store.reset([resource(f"a{at}", spec=large) for at in range(50)], 1)
    largest = 0
    async with asyncio.timeout(30):
        async for piece in world.watcher().events(None):
            largest = max(largest, len(piece))
            if b"event: synced" in piece:
                break
    assert 64 * 1024 < largest < 80 * 1024


async def test_a_quiet_stream_has_a_heartbeat_and_one_that_stops_says_so(world: World) -> None:
    world.store.reset([], 1)
    events = world.watcher(heartbeat_seconds=0.01).events(None)
    await _until(events, "heartbeat")
    world.stopping.set()
    assert ("end", None) in await _until(events, "end")


async def test_a_stream_goes_on_where_it_was(world: World) -> None:
    world.store.reset([], 1)
    world.cluster.changes.begin(1)
    world.store.put(resource("a", version=2))
    world.store.put(resource("b", version=3))

    async def resumed(version: int) -> int | None:
        upstream = ApiServerVersion(0)
        found = await watch.resume(world.cluster, ResumeToken(version, ""), upstream)
        assert not upstream.listed
        return found

    assert await resumed(2) == 1
    assert await resumed(3) == 2
    assert await resumed(0) is None
    assert await watch.resume(world.cluster, None, ApiServerVersion(0)) is None


async def test_a_replica_that_is_behind_waits_or_asks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(watch, "_CATCH_UP_SECONDS", 1)
    world.store.reset([], 5)

    async def resumed(upstream: ApiServerVersion) -> int | None:
        return await watch.resume(world.cluster, ResumeToken(8, ""), upstream)

    assert await resumed(ApiServerVersion(9)) == 0
    made_up = ApiServerVersion(6)
    assert await resumed(made_up) is None
    assert not made_up.listed, "a made-up id costs a whole list"
    with pytest.raises(ProblemError) as caught:
        await resumed(ApiServerVersion(9, known=False))
    assert caught.value.status == 503
    world.cluster.mark_complete(9)
    shown = ApiServerVersion(9)
    assert await resumed(shown) == 0
    assert not shown.listed


@pytest.mark.parametrize("text", [None, "", "1", "x-0123456789abcdef", "-1-0123456789abcdef", "1-"])
def test_an_id_that_was_never_given_is_none(text: str | None) -> None:
    assert ResumeToken.parse(text) is None
    given = ResumeToken(12, "0123456789abcdef")
    assert ResumeToken.parse(str(given)) == given
