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
from aichat_workspace.kube.leases.leader import Election, LeadershipLostError, run_as_leader
from aichat_workspace.kube.leases.lease import (
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


class InstantSelector(selectors.SelectSelector):
    """Adds the time of a wait to the clock instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "every task waits without a time-out"
        self.now += max(timeout, 0)
        return super().select(0)


class FakeTime(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._instant = InstantSelector()
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
class LeaseServer:
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

    server: LeaseServer
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
        stored = self.server.read()
        await self._return()
        return stored

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
        stored = self.server.leases.get(body["metadata"]["name"])
        if stored is None:
            raise NotFoundError(404, "NotFound", "operator")
        if stored["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
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

    server: LeaseServer
    name: str
    clock_offset_seconds: float = 0.0
    wall_offset: timedelta = timedelta()
    cleanup_seconds: float = 0.0
    worked: list[tuple[float, float]] = field(default_factory=list)
    changes: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.link = Link(self.server)
        self.working_since: float | None = None
        self.election = Election(
            self.link,
            config(self.name),
            on_change=self.changes.append,
            clock=lambda: now() + self.clock_offset_seconds,
            wall_time=lambda: START + self.wall_offset + timedelta(seconds=now()),
        )
        self.task = asyncio.create_task(run_as_leader(self.election, self.work))
        # A failed test leaves tasks behind; their errors must not garble its report.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def is_working(self) -> bool:
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

    async def wait_lost(self) -> str:
        with pytest.raises(LeadershipLostError) as raised:
            await self.task
        return str(raised.value)

    def kill(self) -> None:
        """As kill -9: it sends nothing more."""
        self.link.hung = True


def config(identity: str = "a") -> LeaseConfig:
    return LeaseConfig(namespace="system", name="operator", identity=identity, field_manager="us")


def lease(holder: str, **spec: Any) -> Json:
    return {
        "metadata": {"name": "operator", "namespace": "system", "resourceVersion": "1"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, **spec},
    }


async def wait_until(condition: Callable[[], bool], within_seconds: float) -> float:
    """Return the seconds until the condition holds."""
    started = now()
    while not condition():
        assert now() - started <= within_seconds, "it did not happen"
        await asyncio.sleep(0.01)
    return now() - started


async def leader_and_standby() -> tuple[LeaseServer, Replica, Replica]:
    server = LeaseServer()
    first = Replica(server, "a")
    await wait_until(lambda: first.is_working, 1)
    second = Replica(server, "b")
    await asyncio.sleep(20.3)
    assert first.is_working
    assert not second.is_working
    return server, first, second


class TestDecisions:
    @pytest.mark.parametrize(
        ("holder", "age_seconds", "decision"),
        [
            pytest.param("b", 14.9, Decision.WAIT, id="another holds it"),
            pytest.param("b", 15.0, Decision.TAKE, id="it ran out"),
            pytest.param("", 0.0, Decision.TAKE, id="it was released"),
            pytest.param("a", 0.0, Decision.RENEW, id="our own write, whose reply was lost"),
        ],
    )
    def test_a_candidate_takes_only_a_free_lease(
        self, holder: str, age_seconds: float, decision: Decision
    ) -> None:
        seen = observe(None, lease(holder), 100, config("a"))
        assert decide(seen, "a", 100 + age_seconds, None) is decision

    @pytest.mark.parametrize(
        ("stored", "now_seconds", "decision"),
        [
            pytest.param(lease("a"), 109.9, Decision.RENEW, id="ours"),
            pytest.param(lease("a"), 110, Decision.STEP_DOWN, id="ours, but too late"),
            pytest.param(lease("b"), 101, Decision.STEP_DOWN, id="taken"),
            pytest.param(lease(""), 101, Decision.TAKE, id="blanked by hand"),
            pytest.param(None, 101, Decision.CREATE, id="deleted by hand"),
        ],
    )
    def test_a_leader_renews_only_in_time_and_its_own_lease(
        self, stored: Json | None, now_seconds: float, decision: Decision
    ) -> None:
        assert decide(LeaseObservation(stored, 115), "a", now_seconds, 110) is decision

    def test_a_lease_that_never_existed_is_created_at_once(self) -> None:
        seen = observe(None, None, 100, config("a"))
        assert decide(seen, "a", 100, None) is Decision.CREATE

    def test_a_deleted_lease_is_waited_out(self) -> None:
        stored = observe(None, lease("b"), 100, config("a"))
        gone = observe(stored, None, 101, config("a"))
        assert decide(gone, "a", 114.9, None) is Decision.WAIT
        assert decide(gone, "a", 115, None) is Decision.CREATE

    def test_only_a_change_of_the_spec_is_a_sign_of_life(self) -> None:
        first = observe(None, lease("b", renewTime="x"), 100, config("a"))
        labelled = lease("b", renewTime="x")
        labelled["metadata"]["resourceVersion"] = "2"
        same = observe(first, labelled, 110, config("a"))
        assert same.held_until_seconds == 115
        assert same.lease == labelled
        assert observe(same, lease("b", renewTime="y"), 110, config("a")).held_until_seconds == 125

    def test_the_holder_states_how_long_it_holds(self) -> None:
        seen = observe(None, lease("b", leaseDurationSeconds=60), 100, config("a"))
        assert seen.held_until_seconds == 160
        unsaid = observe(None, lease("b", leaseDurationSeconds=None), 100, config("a"))
        assert unsaid.held_until_seconds == 115

    def test_foreign_fields_of_a_lease_are_kept(self) -> None:
        stored = lease("b", strategy="OldestEmulationVersion", leaseTransitions=3)
        stored["metadata"]["labels"] = {"team": "x"}
        body = claimed_lease(LeaseObservation(stored, 0), config("a"), START)
        assert body["metadata"] == stored["metadata"]
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
        [
            {"identity": ""},
            {"renew_seconds": 15.0},
            {"retry_seconds": 10.0},
            {"retry_seconds": 0.0},
        ],
    )
    def test_times_that_could_make_two_leaders_are_refused(self, wrong: dict[str, Any]) -> None:
        usual = {"namespace": "n", "name": "l", "identity": "a", "field_manager": "us"}
        with pytest.raises(ValueError, match="lease"):
            LeaseConfig(**{**usual, **wrong})


class TestAcquisition:
    def test_the_first_candidate_creates_the_lease_and_leads(self) -> None:
        async def scenario() -> None:
            server = LeaseServer()
            replica = Replica(server, "a")
            assert await wait_until(lambda: replica.is_working, 1) < 0.1
            created = server.spec()
            assert created["acquireTime"] == created["renewTime"]
            assert created["acquireTime"].startswith("2026-01-02T03:04:05.")
            assert created["acquireTime"].endswith("Z")
            assert (created["holderIdentity"], created["leaseTransitions"]) == ("a", 0)
            assert replica.changes == [True]
            assert replica.election.is_leader

        play(scenario)

    @pytest.mark.parametrize("stored", [None, lease(""), lease("gone")])
    def test_exactly_one_of_two_racing_candidates_wins(self, stored: Json | None) -> None:
        async def scenario() -> None:
            server = LeaseServer()
            if stored:
                server.put(stored)
            racers = [Replica(server, "a"), Replica(server, "b")]
            await wait_until(lambda: any(replica.is_working for replica in racers), 16)
            await asyncio.sleep(60)
            (winner,) = (replica for replica in racers if replica.is_working)
            assert server.spec()["holderIdentity"] == winner.name
            assert [replica.changes for replica in racers if replica is not winner] == [[]]

        play(scenario)

    @pytest.mark.parametrize("moment", [0.0, 0.4, 0.8, 1.2, 1.6, 1.99])
    def test_after_a_kill_the_lease_is_taken_at_its_expiry_and_within_17_seconds(
        self,
        moment: float,
    ) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            await asyncio.sleep(moment)
            first.kill()
            killed = now()
            renewed = server.writes[-1][0]
            await wait_until(lambda: second.is_working, 20)
            assert now() - renewed >= 15
            assert now() - killed <= 17
            assert server.spec()["holderIdentity"] == "b"
            assert server.spec()["leaseTransitions"] == 1

        play(scenario)

    @pytest.mark.parametrize("minutes", [-10, 10])
    def test_a_skewed_wall_clock_changes_nothing(self, minutes: int) -> None:
        async def scenario() -> None:
            server = LeaseServer()
            first = Replica(server, "a", wall_offset=timedelta(minutes=minutes))
            await wait_until(lambda: first.is_working, 1)
            second = Replica(server, "b", clock_offset_seconds=86_400)
            await asyncio.sleep(120)
            assert first.is_working
            assert second.worked == []
            assert not second.is_working
            first.kill()
            assert await wait_until(lambda: second.is_working, 17) >= 13

        play(scenario)

    def test_a_forbidden_candidate_retries_and_logs_once(self) -> None:
        async def scenario() -> None:
            server = LeaseServer()
            replica = Replica(server, "a")
            with capture_logs() as logs:
                replica.link.fault = ForbiddenError(403, "Forbidden", "no")
                await asyncio.sleep(600)
                assert len(logs) == 1
                replica.link.fault = None
                await wait_until(lambda: replica.is_working, 2)

        play(scenario)

    def test_a_candidate_whose_reply_was_lost_learns_that_it_leads(self) -> None:
        async def scenario() -> None:
            server = LeaseServer()
            replica = Replica(server, "a")
            replica.link.reply_lost = True
            await asyncio.sleep(1)
            assert server.spec()["holderIdentity"] == "a"
            assert not replica.is_working
            replica.link.reply_lost = False
            await wait_until(lambda: replica.is_working, 2)
            assert server.spec()["leaseTransitions"] == 0

        play(scenario)

    def test_a_reply_that_is_read_too_late_makes_no_leader(self) -> None:
        async def scenario() -> None:
            server = LeaseServer()
            replica = Replica(server, "a")
            await wait_until(lambda: bool(server.leases), 1)
            replica.clock_offset_seconds += 60
            await replica.wait_lost()
            assert replica.changes == []

        play(scenario)


class TestRenewal:
    def test_the_leader_renews_every_two_seconds_by_one_request(self) -> None:
        async def scenario() -> None:
            server = LeaseServer()
            replica = Replica(server, "a")
            await wait_until(lambda: replica.is_working, 1)
            replica.link.verbs.clear()
            await asyncio.sleep(20)
            assert replica.link.verbs == ["replace"] * 9
            first, *_, last = (written["spec"] for _, written in server.writes)
            assert last["renewTime"] > first["renewTime"]
            assert last["acquireTime"] == first["acquireTime"]
            assert last["leaseTransitions"] == 0
            assert replica.is_working

        play(scenario)

    def test_a_hung_request_leaves_time_for_another(self) -> None:
        async def scenario() -> None:
            _, first, second = await leader_and_standby()
            first.link.hung = True
            await asyncio.sleep(5)
            first.link.hung = False
            first.link.verbs.clear()
            await asyncio.sleep(60)
            assert first.link.verbs[:3] == ["get", "replace", "replace"]
            assert first.is_working
            assert not second.is_working

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
    def test_a_passing_fault_is_survived_and_logged_once(self, fault: Exception) -> None:
        async def scenario() -> None:
            _, first, second = await leader_and_standby()
            with capture_logs() as logs:
                first.link.fault = fault
                await asyncio.sleep(6)
                first.link.fault = None
                await asyncio.sleep(30)
            assert first.is_working
            assert not second.is_working
            assert [line["event"] for line in logs] == ["lease request failed", "leading"]

        play(scenario)

    def test_a_foreign_label_on_the_lease_is_kept_and_ignored(self) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            server.edit(lambda stored: stored["metadata"].update(labels={"team": "x"}))
            await asyncio.sleep(30)
            assert first.is_working
            assert not second.is_working
            assert server.read()["metadata"]["labels"] == {"team": "x"}

        play(scenario)

    @pytest.mark.parametrize("moment", [0.0, 0.4, 0.8, 1.2, 1.6, 1.99])
    def test_a_lease_deleted_by_hand_is_created_again_by_its_leader_alone(
        self, moment: float
    ) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            await asyncio.sleep(moment)
            server.leases.clear()
            await asyncio.sleep(60)
            assert first.is_working
            assert second.changes == []
            assert server.spec()["holderIdentity"] == "a"

        play(scenario)


class TestLoss:
    @pytest.mark.parametrize("moment", [0.0, 0.5, 1.0, 1.5, 1.99])
    def test_a_leader_whose_requests_hang_stops_before_another_may_start(
        self, moment: float
    ) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            await asyncio.sleep(moment)
            first.link.hung = True
            renewed = server.writes[-1][0]
            assert "not renewed for 10.0 s" in await first.wait_lost()
            ((_, stopped),) = first.worked
            assert stopped - renewed <= 10
            assert first.changes == [True, False]
            assert not first.election.is_leader
            await wait_until(lambda: second.is_working, 7)
            assert second.working_since is not None
            assert second.working_since - stopped >= 5 - LATENCY_SECONDS

        play(scenario)

    def test_a_lasting_fault_ends_leadership_at_the_deadline(self) -> None:
        async def scenario() -> None:
            server, first, _ = await leader_and_standby()
            first.link.fault = UnreachableError("refused")
            renewed = server.writes[-1][0]
            await first.wait_lost()
            assert 9.9 <= now() - renewed <= 10

        play(scenario)

    def test_renewals_whose_replies_are_lost_do_not_count(self) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            first.link.reply_lost = True
            heard = server.writes[-1][0]
            await first.wait_lost()
            assert now() - heard <= 10
            await wait_until(lambda: second.is_working, 20)

        play(scenario)

    def test_a_leader_that_reads_another_holder_stops_at_once(self) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            server.edit(lambda stored: stored["spec"].update(holderIdentity="someone"))
            edited = now()
            assert "someone" in await first.wait_lost()
            assert now() - edited <= 2.1
            assert server.spec()["holderIdentity"] == "someone"
            assert await wait_until(lambda: second.is_working, 17) >= 13

        play(scenario)

    def test_a_leader_stopped_and_continued_past_its_lease_knows_that_it_leads_no_more(
        self,
    ) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            renewed = server.writes[-1]
            first.clock_offset_seconds += 60
            assert not first.election.is_leader
            await first.wait_lost()
            assert server.writes[-1] == renewed
            await wait_until(lambda: second.is_working, 17)

        play(scenario)


class TestRelease:
    @pytest.mark.parametrize("moment", [0.0, 0.4, 0.8, 1.2, 1.6, 1.985, 1.995])
    def test_on_sigterm_the_lease_is_released_and_taken_within_two_seconds(
        self, moment: float
    ) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            await asyncio.sleep(moment)
            started = now()
            await first.sigterm()
            spec = server.spec()
            assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("", 1)
            assert not first.election.is_leader
            assert first.changes == [True, False]
            await wait_until(lambda: second.is_working, 2)
            assert now() - started <= 2
            assert second.working_since is not None
            assert second.working_since >= first.worked[0][1]
            assert server.spec()["leaseTransitions"] == 1
            assert server.spec()["leaseDurationSeconds"] == 15

        play(scenario)

    def test_a_failed_release_is_retried(self) -> None:
        async def scenario() -> None:
            server, first, _ = await leader_and_standby()
            first.link.fault = UnreachableError("refused")
            asyncio.get_running_loop().call_later(1, setattr, first.link, "fault", None)
            await first.sigterm()
            assert server.spec()["holderIdentity"] == ""

        play(scenario)

    def test_a_release_after_a_foreign_edit_reads_again(self) -> None:
        async def scenario() -> None:
            server, first, _ = await leader_and_standby()
            server.edit(lambda stored: stored["metadata"].update(labels={"team": "x"}))
            await first.sigterm()
            assert server.spec()["holderIdentity"] == ""
            assert server.read()["metadata"]["labels"] == {"team": "x"}

        play(scenario)

    def test_a_hung_release_delays_the_exit_by_five_seconds_at_most(self) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            first.link.hung = True
            started = now()
            await first.sigterm()
            assert now() - started <= 5.1
            assert server.spec()["holderIdentity"] == "a"
            await wait_until(lambda: second.is_working, 12)

        play(scenario)

    def test_a_stopped_standby_sends_nothing_and_leaves_the_lease_alone(self) -> None:
        async def scenario() -> None:
            server, first, second = await leader_and_standby()
            second.link.verbs.clear()
            await second.sigterm()
            assert second.link.verbs == []
            assert server.spec()["holderIdentity"] == "a"
            assert first.is_working

        play(scenario)

    def test_a_candidate_stopped_while_it_takes_the_lease_releases_it(self) -> None:
        async def scenario() -> None:
            server = LeaseServer()
            replica = Replica(server, "a")
            await wait_until(lambda: bool(server.leases), 1)
            assert not replica.is_working
            await replica.sigterm()
            assert server.spec()["holderIdentity"] == ""
            assert replica.changes == []

        play(scenario)


class TestWork:
    def test_the_lease_is_kept_while_the_work_cleans_up(self) -> None:
        async def scenario() -> None:
            _, first, second = await leader_and_standby()
            first.cleanup_seconds = 60
            await first.sigterm()
            await wait_until(lambda: second.is_working, 2)
            assert second.working_since is not None
            assert second.working_since >= first.worked[0][1]

        play(scenario)

    def test_work_that_cleans_up_after_a_loss_knows_that_it_leads_no_more(self) -> None:
        async def scenario() -> None:
            server, first, _ = await leader_and_standby()
            first.cleanup_seconds = 4
            server.edit(lambda stored: stored["spec"].update(holderIdentity="someone"))
            await asyncio.sleep(2.1)
            assert first.is_working
            assert not first.election.is_leader
            await first.wait_lost()
            assert not first.is_working

        play(scenario)

    def test_work_that_does_not_end_is_abandoned_at_the_leases_expiry(self) -> None:
        async def scenario() -> None:
            server, first, _ = await leader_and_standby()
            first.cleanup_seconds = 3600
            first.link.hung = True
            renewed = server.writes[-1][0]
            with capture_logs() as logs:
                await first.wait_lost()
            assert now() - renewed <= 15
            assert first.is_working
            assert logs[-1]["event"] == "the leader's work does not end"

        play(scenario)

    def test_the_lease_of_work_that_does_not_end_is_not_released(self) -> None:
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

    def test_the_lease_is_released_when_the_work_returns(self) -> None:
        async def scenario() -> None:
            async def lead() -> str:
                return "done"

            server = LeaseServer()
            election = Election(Link(server), config("a"), wall_time=lambda: START)
            assert await run_as_leader(election, lead) == "done"
            assert server.spec()["holderIdentity"] == ""

        play(scenario)

    def test_the_error_of_the_work_is_raised_and_the_lease_released(self) -> None:
        async def scenario() -> None:
            async def lead() -> None:
                raise ZeroDivisionError

            server = LeaseServer()
            election = Election(Link(server), config("a"), wall_time=lambda: START)
            with pytest.raises(ZeroDivisionError):
                await run_as_leader(election, lead)
            assert server.spec()["holderIdentity"] == ""

        play(scenario)

    def test_an_error_of_cancelled_work_is_logged_and_the_lease_released(self) -> None:
        async def scenario() -> None:
            async def lead() -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    raise ZeroDivisionError

            server = LeaseServer()
            election = Election(Link(server), config("a"), wall_time=lambda: START)
            running = asyncio.create_task(run_as_leader(election, lead))
            await asyncio.sleep(1)
            with capture_logs() as logs:
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await running
            assert logs[0]["event"] == "the leader's work failed while it ended"
            assert server.spec()["holderIdentity"] == ""

        play(scenario)
