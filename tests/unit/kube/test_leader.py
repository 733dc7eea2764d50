import asyncio
import copy
import selectors
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnreachableError,
)
from aichat_workspace.kube.leader import Election, LeadershipLostError, run_as_leader
from aichat_workspace.kube.lease import (
    LEASES,
    Decision,
    LeaseConfig,
    LeaseObservation,
    claimed_lease,
    decide,
    observe,
)
from aichat_workspace.kube.objects import Json

START: Final = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATENCY_SECONDS: Final = 0.02

Scenario = Callable[[], Coroutine[Any, Any, None]]


class Instant(selectors.SelectSelector):
    """Nobody waits: the time that a wait would take is added to the clock instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits for ever"
        self.now += max(timeout, 0)
        return super().select(0)


class FakeTime(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._instant = Instant()
        super().__init__(self._instant)

    def time(self) -> float:
        return self._instant.now


def play(scenario: Scenario) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(3600):
            await scenario()

    with asyncio.Runner(loop_factory=FakeTime) as runner:
        runner.run(bounded())


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Server:
    """The API server's Lease endpoint. A write takes effect halfway through its latency."""

    leases: dict[str, Json] = field(default_factory=dict)
    writes: list[tuple[float, Json]] = field(default_factory=list)
    version: int = 0

    def read(self) -> Json:
        return copy.deepcopy(self.leases["operator"])

    def spec(self) -> Json:
        spec: Json = self.read()["spec"]
        return spec

    def edit(self, change: Callable[[Json], None]) -> None:
        lease = self.read()
        change(lease)
        self.put(lease)

    def put(self, lease: Json) -> Json:
        self.version += 1
        lease = copy.deepcopy(lease)
        lease["metadata"]["resourceVersion"] = str(self.version)
        self.leases["operator"] = lease
        self.writes.append((now(), lease))
        return copy.deepcopy(lease)


@dataclass
class Link:
    """One replica's way to the server, which can fail alone."""

    server: Server
    hung: bool = False
    fault: Exception | None = None
    reply_lost: bool = False
    latency_seconds: float = LATENCY_SECONDS
    verbs: list[str] = field(default_factory=list)

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json:
        assert (resource, name, namespace) == (LEASES, "operator", "system")
        await self._travel("get")
        if name not in self.server.leases:
            raise NotFoundError(404, "NotFound", name)
        found = self.server.read()
        await self._return()
        return found

    async def create(self, resource: Resource, body: Json, *, field_manager: str) -> Json:
        assert (resource, body["metadata"]["namespace"], field_manager) == (LEASES, "system", "us")
        await self._travel("create")
        if body["metadata"]["name"] in self.server.leases:
            raise AlreadyExistsError(409, "AlreadyExists", "operator")
        written = self.server.put(body)
        await self._return()
        return written

    async def replace(self, resource: Resource, body: Json, *, field_manager: str) -> Json:
        assert (resource, field_manager) == (LEASES, "us")
        await self._travel("replace")
        held = self.server.leases.get(body["metadata"]["name"])
        if held is None:
            raise NotFoundError(404, "NotFound", "operator")
        if held["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "the object has been modified")
        written = self.server.put(body)
        await self._return()
        return written

    async def _travel(self, verb: str) -> None:
        self.verbs.append(verb)
        await asyncio.sleep(3600 if self.hung else self.latency_seconds / 2)
        if self.fault:
            raise self.fault

    async def _return(self) -> None:
        await asyncio.sleep(self.latency_seconds / 2)
        if self.reply_lost:
            raise UnreachableError("the connection was reset")


@dataclass
class Replica:
    """A candidate in a process of its own: its own clocks, its own way to the server."""

    server: Server
    name: str
    clock_offset_seconds: float = 0.0
    wall_offset: timedelta = timedelta()
    cleanup_seconds: float = 0.0
    worked: list[tuple[float, float]] = field(default_factory=list)
    told: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.link = Link(self.server)
        self.working_since: float | None = None
        self.election = Election(
            self.link,
            terms(self.name),
            on_change=self.told.append,
            clock=lambda: now() + self.clock_offset_seconds,
            wall_time=lambda: START + self.wall_offset + timedelta(seconds=now()),
        )
        self.task = asyncio.create_task(run_as_leader(self.election, self.work))
        # A test that fails leaves tasks behind; their errors must not garble its report.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def working(self) -> bool:
        return self.working_since is not None

    async def work(self) -> None:
        self.working_since = now()
        try:
            await asyncio.Event().wait()
        finally:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(self.cleanup_seconds)
            self.worked.append((self.working_since, now()))
            self.working_since = None

    async def sigterm(self) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task

    async def lost(self) -> str:
        with pytest.raises(LeadershipLostError) as raised:
            await self.task
        return str(raised.value)

    def kill(self) -> None:
        """As kill -9: nothing of it is heard again."""
        self.link.hung = True


def terms(identity: str = "a") -> LeaseConfig:
    return LeaseConfig(namespace="system", name="operator", identity=identity, field_manager="us")


def lease(holder: str, **spec: Any) -> Json:
    return {
        "metadata": {"name": "operator", "namespace": "system", "resourceVersion": "1"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, **spec},
    }


async def until(condition: Callable[[], bool], within_seconds: float) -> float:
    """How many seconds it took."""
    started = now()
    while not condition():
        assert now() - started <= within_seconds, "it did not happen"
        await asyncio.sleep(0.01)
    return now() - started


async def leader_and_standby() -> tuple[Server, Replica, Replica]:
    server = Server()
    first = Replica(server, "a")
    await until(lambda: first.working, 1)
    second = Replica(server, "b")
    await asyncio.sleep(20.3)
    assert first.working
    assert not second.working
    return server, first, second


# Decisions


@pytest.mark.parametrize(
    ("holder", "age_seconds", "decision"),
    [
        pytest.param("b", 14.9, Decision.WAIT, id="another holds it"),
        pytest.param("b", 15.0, Decision.TAKE, id="it ran out"),
        pytest.param("", 0.0, Decision.TAKE, id="it was released"),
        pytest.param("a", 0.0, Decision.RENEW, id="our own write, whose reply was lost"),
    ],
)
def test_a_candidate_takes_only_what_nobody_holds(
    holder: str, age_seconds: float, decision: Decision
) -> None:
    seen = observe(None, lease(holder), 100, terms("a"))
    assert decide(seen, "a", 100 + age_seconds, None) is decision


@pytest.mark.parametrize(
    ("found", "at_seconds", "decision"),
    [
        pytest.param(lease("a"), 109.9, Decision.RENEW, id="ours"),
        pytest.param(lease("a"), 110, Decision.STEP_DOWN, id="ours, but too late"),
        pytest.param(lease("b"), 101, Decision.STEP_DOWN, id="taken"),
        pytest.param(lease(""), 101, Decision.TAKE, id="blanked by hand"),
        pytest.param(None, 101, Decision.CREATE, id="deleted by hand"),
    ],
)
def test_a_leader_goes_on_only_in_time_and_unless_another_holds_the_lease(
    found: Json | None, at_seconds: float, decision: Decision
) -> None:
    assert decide(LeaseObservation(found, 115), "a", at_seconds, 110) is decision


def test_a_lease_that_is_not_there_is_created_at_once_if_it_was_never_seen() -> None:
    seen = observe(None, None, 100, terms("a"))
    assert decide(seen, "a", 100, None) is Decision.CREATE


def test_a_lease_that_was_deleted_is_waited_out() -> None:
    held = observe(None, lease("b"), 100, terms("a"))
    gone = observe(held, None, 101, terms("a"))
    assert decide(gone, "a", 114.9, None) is Decision.WAIT
    assert decide(gone, "a", 115, None) is Decision.CREATE


def test_only_a_change_of_the_spec_is_a_sign_of_life() -> None:
    first = observe(None, lease("b", renewTime="x"), 100, terms("a"))
    labelled = lease("b", renewTime="x")
    labelled["metadata"]["resourceVersion"] = "2"
    same = observe(first, labelled, 110, terms("a"))
    assert same.held_until_seconds == 115
    assert same.lease == labelled
    assert observe(same, lease("b", renewTime="y"), 110, terms("a")).held_until_seconds == 125


def test_a_holder_says_itself_how_long_it_holds() -> None:
    seen = observe(None, lease("b", leaseDurationSeconds=60), 100, terms("a"))
    assert seen.held_until_seconds == 160
    unsaid = observe(None, lease("b", leaseDurationSeconds=None), 100, terms("a"))
    assert unsaid.held_until_seconds == 115


def test_what_others_wrote_into_a_lease_is_kept() -> None:
    found = lease("b", strategy="OldestEmulationVersion", leaseTransitions=3)
    found["metadata"]["labels"] = {"team": "x"}
    body = claimed_lease(LeaseObservation(found, 0), terms("a"), START)
    assert body["metadata"] == found["metadata"]
    assert body["spec"] == {
        "strategy": "OldestEmulationVersion",
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T03:04:05.678901Z",
        "renewTime": "2026-01-02T03:04:05.678901Z",
        "leaseTransitions": 4,
    }


@pytest.mark.parametrize(
    "wrong",
    [{"identity": ""}, {"renew_seconds": 15.0}, {"retry_seconds": 10.0}, {"retry_seconds": 0.0}],
)
def test_terms_that_could_make_two_leaders_are_refused(wrong: dict[str, Any]) -> None:
    usual = {"namespace": "n", "name": "l", "identity": "a", "field_manager": "us"}
    with pytest.raises(ValueError, match="lease"):
        LeaseConfig(**{**usual, **wrong})


# Elections


def test_the_first_candidate_creates_the_lease_and_leads() -> None:
    async def scenario() -> None:
        server = Server()
        replica = Replica(server, "a")
        assert await until(lambda: replica.working, 1) < 0.1
        created = server.spec()
        assert created["acquireTime"] == created["renewTime"]
        assert created["acquireTime"].startswith("2026-01-02T03:04:05.")
        assert created["acquireTime"].endswith("Z")
        assert (created["holderIdentity"], created["leaseTransitions"]) == ("a", 0)
        assert replica.told == [True]
        assert replica.election.is_leader

    play(scenario)


def test_the_leader_renews_every_two_seconds_by_one_request() -> None:
    async def scenario() -> None:
        server = Server()
        replica = Replica(server, "a")
        await until(lambda: replica.working, 1)
        replica.link.verbs.clear()
        await asyncio.sleep(20)
        assert replica.link.verbs == ["replace"] * 9
        first, *_, last = (written["spec"] for _, written in server.writes)
        assert last["renewTime"] > first["renewTime"]
        assert last["acquireTime"] == first["acquireTime"]
        assert last["leaseTransitions"] == 0
        assert replica.working

    play(scenario)


@pytest.mark.parametrize("moment", [0.0, 0.4, 0.8, 1.2, 1.6, 1.99])
def test_after_a_kill_the_lease_is_taken_once_it_ran_out_and_within_17_seconds(
    moment: float,
) -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        await asyncio.sleep(moment)
        first.kill()
        killed = now()
        renewed = server.writes[-1][0]
        await until(lambda: second.working, 20)
        assert now() - renewed >= 15
        assert now() - killed <= 17
        assert server.spec()["holderIdentity"] == "b"
        assert server.spec()["leaseTransitions"] == 1

    play(scenario)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_skewed_wall_clock_changes_nothing(minutes: int) -> None:
    async def scenario() -> None:
        server = Server()
        first = Replica(server, "a", wall_offset=timedelta(minutes=minutes))
        await until(lambda: first.working, 1)
        second = Replica(server, "b", clock_offset_seconds=86_400)
        await asyncio.sleep(120)
        assert first.working
        assert second.worked == []
        assert not second.working
        first.kill()
        assert await until(lambda: second.working, 17) >= 13

    play(scenario)


@pytest.mark.parametrize("found", [None, lease(""), lease("gone")])
def test_of_two_that_race_exactly_one_wins(found: Json | None) -> None:
    async def scenario() -> None:
        server = Server()
        if found:
            server.put(found)
        racers = [Replica(server, "a"), Replica(server, "b")]
        await until(lambda: any(each.working for each in racers), 16)
        await asyncio.sleep(60)
        (winner,) = (each for each in racers if each.working)
        assert server.spec()["holderIdentity"] == winner.name
        assert [each.told for each in racers if each is not winner] == [[]]

    play(scenario)


@pytest.mark.parametrize("moment", [0.0, 0.5, 1.0, 1.5, 1.99])
def test_a_leader_whose_requests_hang_stops_before_another_may_start(moment: float) -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        await asyncio.sleep(moment)
        first.link.hung = True
        renewed = server.writes[-1][0]
        assert "not renewed for 10.0 s" in await first.lost()
        ((_, stopped),) = first.worked
        assert stopped - renewed <= 10
        assert first.told == [True, False]
        assert not first.election.is_leader
        await until(lambda: second.working, 7)
        assert second.working_since is not None
        assert second.working_since - stopped >= 5 - LATENCY_SECONDS

    play(scenario)


def test_a_hung_request_leaves_time_for_another() -> None:
    async def scenario() -> None:
        _, first, second = await leader_and_standby()
        first.link.hung = True
        await asyncio.sleep(5)
        first.link.hung = False
        first.link.verbs.clear()
        await asyncio.sleep(60)
        assert first.link.verbs[:3] == ["get", "replace", "replace"]
        assert first.working
        assert not second.working

    play(scenario)


@pytest.mark.parametrize(
    "fault",
    [
        UnreachableError("refused"),
        ApiError(503, "ServiceUnavailable", "later"),
        ApiError(429, "TooManyRequests", "later", retry_after_seconds=1),
        ConflictError(409, "Conflict", "modified"),
    ],
)
def test_a_fault_that_passes_in_time_is_survived_and_told_once(fault: Exception) -> None:
    async def scenario() -> None:
        _, first, second = await leader_and_standby()
        with capture_logs() as logs:
            first.link.fault = fault
            await asyncio.sleep(6)
            first.link.fault = None
            await asyncio.sleep(30)
        assert first.working
        assert not second.working
        assert [each["event"] for each in logs] == ["lease request failed", "leading"]

    play(scenario)


def test_a_fault_that_stays_ends_leadership_at_the_deadline() -> None:
    async def scenario() -> None:
        server, first, _ = await leader_and_standby()
        first.link.fault = UnreachableError("refused")
        renewed = server.writes[-1][0]
        await first.lost()
        assert 9.9 <= now() - renewed <= 10

    play(scenario)


def test_a_candidate_that_may_not_write_goes_on_asking_and_says_so_once() -> None:
    async def scenario() -> None:
        server = Server()
        replica = Replica(server, "a")
        with capture_logs() as logs:
            replica.link.fault = ForbiddenError(403, "Forbidden", "no")
            await asyncio.sleep(600)
            assert len(logs) == 1
            replica.link.fault = None
            await until(lambda: replica.working, 2)

    play(scenario)


@pytest.mark.parametrize("moment", [0.0, 0.4, 0.8, 1.2, 1.6, 1.985, 1.995])
def test_on_sigterm_the_lease_is_released_and_taken_within_two_seconds(moment: float) -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        await asyncio.sleep(moment)
        asked = now()
        await first.sigterm()
        spec = server.spec()
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("", 1)
        assert not first.election.is_leader
        assert first.told == [True, False]
        await until(lambda: second.working, 2)
        assert now() - asked <= 2
        assert second.working_since is not None
        assert second.working_since >= first.worked[0][1]
        assert server.spec()["leaseTransitions"] == 1
        assert server.spec()["leaseDurationSeconds"] == 15

    play(scenario)


def test_the_lease_is_kept_while_the_work_cleans_up_however_long() -> None:
    async def scenario() -> None:
        _, first, second = await leader_and_standby()
        first.cleanup_seconds = 60
        await first.sigterm()
        await until(lambda: second.working, 2)
        assert second.working_since is not None
        assert second.working_since >= first.worked[0][1]

    play(scenario)


def test_a_release_that_meets_a_fault_is_tried_again() -> None:
    async def scenario() -> None:
        server, first, _ = await leader_and_standby()
        first.link.fault = UnreachableError("refused")
        asyncio.get_running_loop().call_later(1, setattr, first.link, "fault", None)
        await first.sigterm()
        assert server.spec()["holderIdentity"] == ""

    play(scenario)


def test_a_release_that_meets_a_foreign_edit_reads_again() -> None:
    async def scenario() -> None:
        server, first, _ = await leader_and_standby()
        server.edit(lambda found: found["metadata"].update(labels={"team": "x"}))
        await first.sigterm()
        assert server.spec()["holderIdentity"] == ""
        assert server.read()["metadata"]["labels"] == {"team": "x"}

    play(scenario)


def test_a_release_that_hangs_holds_up_the_exit_for_five_seconds_at_most() -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        first.link.hung = True
        asked = now()
        await first.sigterm()
        assert now() - asked <= 5.1
        assert server.spec()["holderIdentity"] == "a"
        await until(lambda: second.working, 12)

    play(scenario)


def test_a_standby_that_is_stopped_asks_nothing_and_leaves_the_lease_alone() -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        second.link.verbs.clear()
        await second.sigterm()
        assert second.link.verbs == []
        assert server.spec()["holderIdentity"] == "a"
        assert first.working

    play(scenario)


def test_a_candidate_stopped_while_it_takes_the_lease_gives_it_back() -> None:
    async def scenario() -> None:
        server = Server()
        replica = Replica(server, "a")
        await until(lambda: bool(server.leases), 1)
        assert not replica.working
        await replica.sigterm()
        assert server.spec()["holderIdentity"] == ""
        assert replica.told == []

    play(scenario)


def test_a_candidate_whose_reply_was_lost_finds_that_it_leads() -> None:
    async def scenario() -> None:
        server = Server()
        replica = Replica(server, "a")
        replica.link.reply_lost = True
        await asyncio.sleep(1)
        assert server.spec()["holderIdentity"] == "a"
        assert not replica.working
        replica.link.reply_lost = False
        await until(lambda: replica.working, 2)
        assert server.spec()["leaseTransitions"] == 0

    play(scenario)


def test_renewals_whose_replies_are_lost_do_not_count() -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        first.link.reply_lost = True
        heard = server.writes[-1][0]
        await first.lost()
        assert now() - heard <= 10
        await until(lambda: second.working, 20)

    play(scenario)


def test_a_foreign_label_on_the_lease_is_kept_and_disturbs_nobody() -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        server.edit(lambda found: found["metadata"].update(labels={"team": "x"}))
        await asyncio.sleep(30)
        assert first.working
        assert not second.working
        assert server.read()["metadata"]["labels"] == {"team": "x"}

    play(scenario)


def test_a_leader_that_finds_another_holder_stops_at_once() -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        server.edit(lambda found: found["spec"].update(holderIdentity="someone"))
        edited = now()
        assert "someone" in await first.lost()
        assert now() - edited <= 2.1
        assert server.spec()["holderIdentity"] == "someone"
        assert await until(lambda: second.working, 17) >= 13

    play(scenario)


def test_work_that_cleans_up_after_a_loss_can_see_that_it_leads_no_more() -> None:
    async def scenario() -> None:
        server, first, _ = await leader_and_standby()
        first.cleanup_seconds = 4
        server.edit(lambda found: found["spec"].update(holderIdentity="someone"))
        await asyncio.sleep(2.1)
        assert first.working
        assert not first.election.is_leader
        await first.lost()
        assert not first.working

    play(scenario)


@pytest.mark.parametrize("moment", [0.0, 0.4, 0.8, 1.2, 1.6, 1.99])
def test_a_lease_deleted_by_hand_is_created_again_by_its_leader_alone(moment: float) -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        await asyncio.sleep(moment)
        server.leases.clear()
        await asyncio.sleep(60)
        assert first.working
        assert second.told == []
        assert server.spec()["holderIdentity"] == "a"

    play(scenario)


def test_a_leader_stopped_and_continued_past_its_lease_knows_that_it_leads_no_more() -> None:
    async def scenario() -> None:
        server, first, second = await leader_and_standby()
        renewed = server.writes[-1]
        first.clock_offset_seconds += 60
        assert not first.election.is_leader
        await first.lost()
        assert server.writes[-1] == renewed
        await until(lambda: second.working, 17)

    play(scenario)


def test_a_reply_that_is_read_too_late_does_not_make_a_leader() -> None:
    async def scenario() -> None:
        server = Server()
        replica = Replica(server, "a")
        await until(lambda: bool(server.leases), 1)
        replica.clock_offset_seconds += 60
        await replica.lost()
        assert replica.told == []

    play(scenario)


def test_work_that_does_not_end_is_left_behind_when_the_lease_ends() -> None:
    async def scenario() -> None:
        server, first, _ = await leader_and_standby()
        first.cleanup_seconds = 3600
        first.link.hung = True
        renewed = server.writes[-1][0]
        with capture_logs() as logs:
            await first.lost()
        assert now() - renewed <= 15
        assert first.working
        assert logs[-1]["event"] == "the leader's work does not end"

    play(scenario)


def test_work_that_does_not_end_keeps_the_lease_from_being_released() -> None:
    async def scenario() -> None:
        server, first, _ = await leader_and_standby()
        first.cleanup_seconds = 3600
        first.task.cancel()
        await asyncio.sleep(1)
        await first.sigterm()
        assert server.spec()["holderIdentity"] == "a"
        written = len(server.writes)
        await asyncio.sleep(10)
        assert len(server.writes) == written

    play(scenario)


def test_work_that_returns_gives_the_lease_back() -> None:
    async def scenario() -> None:
        async def lead() -> str:
            return "done"

        server = Server()
        election = Election(Link(server), terms("a"), wall_time=lambda: START)
        assert await run_as_leader(election, lead) == "done"
        assert server.spec()["holderIdentity"] == ""

    play(scenario)


def test_what_the_work_raises_is_raised_and_the_lease_given_back() -> None:
    async def scenario() -> None:
        async def lead() -> None:
            raise ZeroDivisionError

        server = Server()
        election = Election(Link(server), terms("a"), wall_time=lambda: START)
        with pytest.raises(ZeroDivisionError):
            await run_as_leader(election, lead)
        assert server.spec()["holderIdentity"] == ""

    play(scenario)


def test_work_that_fails_while_it_is_cancelled_is_told_and_the_lease_given_back() -> None:
    async def scenario() -> None:
        async def lead() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ZeroDivisionError

        server = Server()
        election = Election(Link(server), terms("a"), wall_time=lambda: START)
        running = asyncio.create_task(run_as_leader(election, lead))
        await asyncio.sleep(1)
        with capture_logs() as logs:
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert logs[0]["event"] == "the leader's work failed while it ended"
        assert server.spec()["holderIdentity"] == ""

    play(scenario)
