"""What the stream says; how it comes through is shown against a real API server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace

import orjson
import pytest

from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces import change_log
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.views import View, body
from aichat_workspace.api.workspaces.watching import watch
from aichat_workspace.api.workspaces.watching.watch import ResumeToken, Watcher
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import UnreachableError
from aichat_workspace.kube.store import Store
from tests.fakes.listing import take_list
from tests.unit.api.samples import resource

EVERYWHERE = Scope(everywhere=True)


@dataclass
class World:
    """A directory whose store is written by hand."""

    cluster: ClusterView
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    scope: Scope | Exception = EVERYWHERE
    scope_reads: int = 0

    @property
    def store(self) -> Store:
        return self.cluster.workspaces._store

    async def read_scope(self) -> Scope:
        self.scope_reads += 1
        if isinstance(self.scope, Exception):
            raise self.scope
        return self.scope

    def watcher(self, heartbeat_seconds: float = 60, recheck_seconds: float = 0) -> Watcher:
        return Watcher(
            self.cluster,
            self.read_scope,
            self.stopping,
            heartbeat_seconds=heartbeat_seconds,
            recheck_seconds=recheck_seconds,
        )


@dataclass
class FakeApiServerVersion:
    """Tells how far the API server is."""

    current: int
    is_view_complete: bool = True
    lists: int = 0

    async def version(self) -> int:
        return self.current

    async def is_complete(self) -> bool:
        self.lists += 1
        return self.is_view_complete


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(change_log, "_GATHER_SECONDS", 0)
    client = Client.__new__(Client)  # nothing here asks the API server
    return World(ClusterView(client, {}))


async def _until(events: AsyncIterator[bytes], last: str) -> list[tuple[str, str | None]]:
    """Kinds and ids, up to an event of this kind."""
    events_read: list[tuple[str, str | None]] = []
    async with asyncio.timeout(30):
        async for piece in events:
            for block in piece.decode().split("\n\n"):
                lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
                if "event" in lines:
                    events_read.append((lines["event"], lines.get("id")))
                elif block.startswith(":"):
                    events_read.append(("heartbeat", None))
            if events_read and events_read[-1][0] == last:
                return events_read
    return events_read


async def test_a_stream_begins_with_all_workspaces_and_has_an_id_from_synced_on(
    world: World,
) -> None:
    take_list(world.store, [resource("a", version=3), resource("b", version=5)], 7)
    watcher = world.watcher()
    sent = await _until(watcher.events(None), "synced")
    token = str(ResumeToken(7, watcher.scope_hash(EVERYWHERE)))
    assert sent == [("reset", ""), ("ADDED", None), ("ADDED", None), ("synced", token)]


async def test_each_change_has_an_id(world: World) -> None:
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


async def test_a_stream_may_have_only_some_fields_of_each_workspace(world: World) -> None:
    take_list(world.store, [resource("a", version=3)], 7)
    watcher = replace(world.watcher(), fields=["name", "spec.suspended"])
    stream = watcher.events(None)
    sent = b""
    while b"synced" not in sent:
        sent += await anext(stream)
    assert b'event: ADDED\ndata: {"name":"a","spec":{}}\n' in sent
    world.store.put(resource("a", version=8, spec={"suspended": True}))
    while b"MODIFIED" not in sent:
        sent += await anext(stream)
    assert b'data: {"name":"a","spec":{"suspended":true}}\n' in sent
    await stream.aclose()


async def test_only_the_last_change_of_a_version_has_an_id(world: World) -> None:
    world.store.reset([], 1)
    events = world.watcher().events(0)
    await _until(events, "synced")
    take_list(world.store, [resource("a", version=2), resource("b", version=3)], 9)
    sent = await _until(events, "ADDED")
    assert [event_id is not None for _, event_id in sent] == [False, True]


async def test_a_changed_permission_starts_the_stream_again(world: World) -> None:
    take_list(world.store, [resource("a", team="one"), resource("b", team="two")], 1)
    world.scope = Scope(everywhere=False, teams=frozenset({"one"}))
    events = world.watcher().events(None)
    assert len(await _until(events, "synced")) == 3
    world.scope = Scope(everywhere=False, teams=frozenset({"one", "two"}))
    world.store.put(resource("c", team="one", version=2))
    sent = await _until(events, "synced")
    assert [kind for kind, _ in sent] == ["reset", "ADDED", "ADDED", "ADDED", "synced"]


@pytest.mark.parametrize(
    "scope",
    [Scope(everywhere=False), ProblemError(401, "unauthenticated", "x"), UnreachableError("x")],
)
async def test_a_stream_ends_when_its_permission_ends_or_can_not_be_checked(
    world: World, scope: Scope | Exception
) -> None:
    world.store.reset([], 1)
    events = world.watcher().events(None)
    await _until(events, "synced")
    world.scope = scope
    world.store.put(resource("a", version=2))
    assert [kind for kind, _ in await _until(events, "end")] == ["end"]


async def test_permission_is_not_checked_with_every_change(world: World) -> None:
    world.store.reset([], 1)
    events = world.watcher(recheck_seconds=60).events(None)
    await _until(events, "synced")
    for version in range(2, 12):
        world.store.put(resource("a", version=version))
        await _until(events, "ADDED" if version == 2 else "MODIFIED")
    assert world.scope_reads == 1


async def test_a_slow_reader_gets_nothing_after_the_permission_ends(world: World) -> None:
    large = {"models": ["x" * 40_000]}
    take_list(world.store, [resource(f"a{number}", spec=large) for number in range(20)], 1)
    events = world.watcher().events(None)
    assert await anext(events) == b"retry: 1000\n\n"
    assert await anext(events)
    world.scope = Scope(everywhere=False)
    assert [kind for kind, _ in await _until(events, "end")] == ["end"]


async def test_a_snapshot_is_sent_in_pieces_of_limited_size(world: World) -> None:
    large = {"models": ["x" * 10_000]}
    take_list(world.store, [resource(f"a{number}", spec=large) for number in range(50)], 1)
    largest = 0
    async with asyncio.timeout(30):
        async for piece in world.watcher().events(None):
            largest = max(largest, len(piece))
            if b"event: synced" in piece:
                break
    assert 64 * 1024 < largest < 80 * 1024


async def test_a_quiet_stream_has_heartbeats_and_ends_with_an_event(world: World) -> None:
    world.store.reset([], 1)
    events = world.watcher(heartbeat_seconds=0.01).events(None)
    await _until(events, "heartbeat")
    world.stopping.set()
    assert ("end", None) in await _until(events, "end")


async def test_a_change_ends_the_quiet_time_of_no_heartbeat_and_none_is_lost(world: World) -> None:
    """The timer of a stream is not set anew by each change, but rings at the same times."""
    world.store.reset([], 1)
    async with aclosing(world.watcher(heartbeat_seconds=0.2).events(0)) as events:
        await _until(events, "synced")
        clock = asyncio.get_running_loop().time
        for version in range(2, 6):
            world.store.put(resource("a", version=version))
            await _until(events, "ADDED" if version == 2 else "MODIFIED")
        quiet_since = clock()
        assert [kind for kind, _ in await _until(events, "heartbeat")] == ["heartbeat"]
        assert clock() - quiet_since >= 0.19
        assert [kind for kind, _ in await _until(events, "heartbeat")] == ["heartbeat"]


async def test_a_change_is_encoded_once_for_all_who_see_the_same_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store.reset([], 1)
    encoded: list[tuple[str, ...]] = []

    def counting_body(view: View, fields: Sequence[str]) -> bytes:
        encoded.append(tuple(fields))
        return body(view, fields)

    monkeypatch.setattr(watch, "body", counting_body)
    whole = world.watcher()
    names_only = replace(whole, fields=("name",))
    others = replace(whole, name="b")
    of_a_team = replace(whole, scope=_scope_of("elsewhere"))
    of_no_one = replace(whole, name="None")
    watchers = [whole, whole, whole, names_only, names_only, others, of_a_team, of_no_one]
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(aclosing(watcher.events(0))) for watcher in watchers
        ]
        for stream in streams:
            await _until(stream, "synced")
        world.store.put(resource("a", version=2))
        texts = [await _next_event(stream) for stream in streams[:5]]
        assert encoded == [(), ("name",)]
        assert texts[0] == texts[1] == texts[2]
        assert b'"spec"' in texts[0]
        assert texts[3] == texts[4]
        assert b'data: {"name":"a"}' in texts[3]
        world.store.put(resource("b", version=3))
        assert b'"name":"b"' in await _next_event(streams[5])  # and nothing of a
        assert b'"name":"b"' in await _next_event(streams[0])
        for stream in streams[6:]:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await _next_event(stream)


async def test_what_is_larger_than_a_piece_stays_in_memory_for_no_one(world: World) -> None:
    world.store.reset([], 1)
    for number in range(2):
        large = {"models": ["x" * 40_000]}
        world.store.put(resource(f"a{number}", version=2 + number, spec=large))
    async with aclosing(world.watcher().events(0)) as events:
        await _until(events, "synced")
    assert world.cluster.changes._shared == {}


def _scope_of(team: str) -> Callable[[], Awaitable[Scope]]:
    async def scope() -> Scope:
        return Scope(everywhere=False, teams=frozenset({team}))

    return scope


async def _next_event(events: AsyncIterator[bytes]) -> bytes:
    async with asyncio.timeout(30):
        return await anext(events)


async def test_a_stream_is_resumed_after_its_last_event(world: World) -> None:
    world.store.reset([], 1)
    world.cluster.changes.begin(1)
    world.store.put(resource("a", version=2))
    world.store.put(resource("b", version=3))

    async def resumed(version: int) -> int | None:
        upstream = FakeApiServerVersion(0)
        position = await watch.resume(world.cluster, ResumeToken(version, ""), upstream)
        assert not upstream.lists
        return position

    assert await resumed(2) == 1
    assert await resumed(3) == 2
    assert await resumed(0) is None
    assert await watch.resume(world.cluster, None, FakeApiServerVersion(0)) is None


async def test_a_resumed_stream_starts_again_if_the_scope_changed_meanwhile(world: World) -> None:
    """Resuming may wait for seconds: what the token was made for may be another scope by then."""
    take_list(
        world.store, [resource("a", team="one", version=2), resource("b", team="two", version=3)], 3
    )
    world.cluster.changes.begin(3)
    watcher = world.watcher()
    world.scope = Scope(everywhere=False, teams=frozenset({"one"}))
    token = ResumeToken(3, watcher.scope_hash(world.scope))
    position = await watch.resume(world.cluster, token, FakeApiServerVersion(0))
    world.scope = Scope(everywhere=False, teams=frozenset({"one", "two"}))
    sent = await _until(watcher.events(position, token), "synced")
    assert [kind for kind, _ in sent] == ["reset", "ADDED", "ADDED", "synced"]


@dataclass
class Rights:
    """The rights of one caller, which change at one of the moments at which others may act."""

    before: Scope
    after: Scope
    moment: int
    now: int = 0

    def pass_moment(self) -> Scope:
        self.now += 1
        return self.after if self.has_changed else self.before

    @property
    def has_changed(self) -> bool:
        return self.now > self.moment


@dataclass
class Screen:
    """What a client shows: it does what each event says."""

    names: set[str]

    def apply(self, piece: bytes) -> None:
        for block in piece.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            match lines.get("event"):
                case "reset":
                    self.names.clear()
                case "ADDED" | "MODIFIED":
                    self.names.add(orjson.loads(lines["data"])["name"])
                case "DELETED":
                    self.names.discard(orjson.loads(lines["data"])["name"])


@dataclass
class ChangingApiServerVersion(FakeApiServerVersion):
    """Gives others a moment with each question."""

    rights: Rights | None = None

    async def version(self) -> int:
        assert self.rights is not None
        self.rights.pass_moment()
        return self.current

    async def is_complete(self) -> bool:
        assert self.rights is not None
        self.rights.pass_moment()
        return True


def teams(*names: str) -> Scope:
    return Scope(everywhere=False, teams=frozenset(names))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (teams("one"), teams("one", "two")),
        (teams("one", "two"), teams("two")),
        (teams("one"), teams("two")),
        (teams("one"), EVERYWHERE),
        (EVERYWHERE, teams("two")),
    ],
)
async def test_a_resumed_watch_shows_the_callers_workspaces_whenever_their_rights_change(
    world: World, monkeypatch: pytest.MonkeyPatch, before: Scope, after: Scope
) -> None:
    """What was given is told and what was lost is taken back, at every await of a resumption."""
    monkeypatch.setattr(watch, "_LOOK_AGAIN_SECONDS", 0.001)
    workspaces = {"a": "one", "b": "two", "c": "one", "d": "two"}
    old = [resource(name, team=team, version=3) for name, team in workspaces.items() if name < "c"]
    take_list(world.store, old, 5)
    world.cluster.changes.begin(5)
    for name in ("c", "d"):
        world.store.put(resource(name, team=workspaces[name], version=6))
    for moment in range(20):
        rights = Rights(before, after, moment)

        async def scope(rights: Rights = rights) -> Scope:
            return rights.pass_moment()

        watcher = replace(world.watcher(heartbeat_seconds=0.002), scope=scope)
        # it saw all up to version 5, at another replica that is ahead of this one by one
        for version in (5, 7):
            token = ResumeToken(version, watcher.scope_hash(before))
            screen = Screen({name for name in ("a", "b") if workspaces[name] in before})
            if version == 7:
                screen.names |= {name for name in ("c", "d") if workspaces[name] in before}
            upstream = ChangingApiServerVersion(9, rights=rights)
            position = await watch.resume(world.cluster, token, upstream)
            heartbeats_after_the_change = 0
            async with asyncio.timeout(30), aclosing(watcher.events(position, token)) as events:
                async for piece in events:
                    rights.pass_moment()
                    screen.apply(piece)
                    heartbeats_after_the_change += rights.has_changed and piece.startswith(b":")
                    if heartbeats_after_the_change == 3:
                        break
            visible = {name for name, team in workspaces.items() if team in after}
            assert screen.names == visible, f"rights that changed at moment {moment}"
            rights.now = 0


async def test_a_replica_that_is_behind_waits_or_asks_the_api_server(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(watch, "_CATCH_UP_SECONDS", 1)
    world.store.reset([], 5)

    async def resumed(upstream: FakeApiServerVersion) -> int | None:
        return await watch.resume(world.cluster, ResumeToken(8, ""), upstream)

    assert await resumed(FakeApiServerVersion(9)) == 0
    made_up = FakeApiServerVersion(6)
    assert await resumed(made_up) is None
    assert not made_up.lists, "a made-up id costs a whole list"
    with pytest.raises(ProblemError) as caught:
        await resumed(FakeApiServerVersion(9, is_view_complete=False))
    assert caught.value.status == 503
    world.cluster.mark_complete(9)
    complete = FakeApiServerVersion(9)
    assert await resumed(complete) == 0
    assert not complete.lists


@pytest.mark.parametrize("text", [None, "", "1", "x-0123456789abcdef", "-1-0123456789abcdef", "1-"])
def test_an_invalid_resume_token_is_none(text: str | None) -> None:
    assert ResumeToken.parse(text) is None
    token = ResumeToken(12, "0123456789abcdef")
    assert ResumeToken.parse(str(token)) == token
