"""Two replicas, each with a proxy of its own, of which one leads: killed, stopped, cut off, and
with a clock that is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.faults.oracles import (
    are_made,
    assert_at_rest,
    foreign_writes,
    unconditional_deletions,
)
from tests.faults.proxy import Beside, Call, Cut, Fault, Proxy, proxy_to
from tests.faults.steps import assert_as_undisturbed, delete, make
from tests.integration.conftest import OPERATOR, SYSTEM, Cluster, operators_access
from tests.waiting import eventually, let_pass

AFTER_A_KILL_SECONDS: Final = 17
# A candidate looks every 1.6 s; the rest is for a machine that is at other work.
AFTER_SIGTERM_SECONDS: Final = 3
# Reconciles in progress may end first: kube.controller gives them three seconds.
AFTER_SIGTERM_AT_WORK_SECONDS: Final = AFTER_SIGTERM_SECONDS + 3
FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@dataclass
class Replica:
    """A replica as a process, started several times."""

    proxy: Proxy
    kubeconfig: Path
    log: Path
    skew: str = ""
    """What its clock is off, as `+10m`."""
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        """Start and wait until it leads or stands by. A former process of it ends first."""
        if self.process is not None:
            self.end()
        before = self._words()
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), **self._clock()}
        with self.log.open("a") as out:
            # No DNS servers, as the operator of the undisturbed workspace: it would allow this
            # machine's besides.
            script = str(Path(__file__).with_name("replica.py"))
            command = [sys.executable, script, os.devnull]
            self.process = subprocess.Popen(command, env=environment, stderr=out)
        eventually(lambda: len(self._words()) > len(before), "it stands for election", 90)

    def _clock(self) -> dict[str, str]:
        if not self.skew:
            return {}
        assert FAKETIME.exists(), "run: python -m localcluster install libfaketime"
        return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": self.skew, "DONT_FAKE_MONOTONIC": "1"}

    def _words(self) -> list[dict[str, str]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        words = [json.loads(line) for line in lines if line.startswith("{")]
        return [word for word in words if word.get("event") in ("leading", "standing by")]

    @property
    def identity(self) -> str:
        return self._words()[-1]["identity"]

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self) -> int:
        """Return the code with which it has ended, or is killed now."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait(timeout=10)

    def writes(self) -> list[tuple[float, Call]]:
        """What it wrote, but for its lease."""
        return [(moment, call) for moment, call in self.proxy.done if "/leases/" not in call.object]


@pytest.fixture
def replicas(cluster: Cluster, tmp_path: Path, writes: list[Call]) -> Iterator[list[Replica]]:
    """Two that are not started yet. O3 and no traceback in the end."""
    assert writes, "the undisturbed workspace is there"
    with ExitStack() as stack:
        pair = []
        for name in ("first", "second"):
            folder = tmp_path / name
            folder.mkdir()
            proxy, path = stack.enter_context(proxy_to(operators_access(cluster, folder)))
            pair.append(Replica(proxy, path, folder / "log"))
        yield pair
        for replica in pair:
            if replica.process is not None:
                replica.end()
                assert "Traceback" not in replica.log.read_text()
            assert foreign_writes(replica.proxy) == []
            assert unconditional_deletions(replica.proxy.calls) == []


def holder(cluster: Cluster) -> str:
    lease = cluster.get("leases.coordination.k8s.io", OPERATOR, "-n", SYSTEM)
    return str(lease["spec"].get("holderIdentity") or "")


def takes_over(cluster: Cluster, replica: Replica, seconds: float) -> None:
    begun = time.monotonic()
    eventually(lambda: holder(cluster) == replica.identity, "the other one leads", seconds)
    print(f"takeover after {time.monotonic() - begun:.1f} s")


def assert_one_after_the_other(before: Replica, after: Replica) -> None:
    """No write of the former leader reached the API server after the first one of the next."""
    if before.writes():
        assert before.writes()[-1][0] <= after.writes()[0][0]


@pytest.mark.parametrize("how", ["killed", "terminated", "stopped", "cut-off"])
def test_the_other_replica_takes_over_and_the_former_leader_writes_nothing_more(
    cluster: Cluster, replicas: list[Replica], before: frozenset[str], how: str
) -> None:
    """F10: it happens while the leader makes workspaces, after a write in the middle of one."""
    first, second = replicas
    first.start()
    second.start()
    names = tuple(f"{how}-{letter}" for letter in "abc")
    struck: list[float] = []
    first.proxy.rule = in_the_middle(f"{how}-b", lambda: strike(first, how), struck)
    make(cluster, *names[:2])
    eventually(lambda: struck, "it is struck in the middle")
    bounds = {"terminated": AFTER_SIGTERM_AT_WORK_SECONDS}
    takes_over(cluster, second, bounds.get(how, AFTER_A_KILL_SECONDS))
    make(cluster, names[2])  # for the former leader may have made all of the others
    eventually(lambda: are_made(cluster, *names), "the other one makes the rest")
    if how == "stopped":
        continued = len(first.proxy.calls)
        first.send(signal.SIGCONT)
        eventually(lambda: first.process.poll() is not None, "it ends by itself", 20)  # type: ignore[union-attr]
        assert not [call for call in first.proxy.calls[continued:] if call.writes]
    assert_one_after_the_other(first, second)
    assert_as_undisturbed(cluster, *names)
    if how == "killed":
        assert_at_rest(second.proxy, second.log)
    delete(cluster, *names, before=before)
    assert first.end() == {"killed": -9, "terminated": 0, "stopped": 1, "cut-off": 1}[how]


def in_the_middle(
    name: str, act: Callable[[], object], struck: list[float]
) -> Callable[[Call], Fault | None]:
    """Act after the workspace's Deployment is written, once."""

    def strike_once() -> None:
        struck.append(time.monotonic())
        act()

    def rule(call: Call) -> Fault | None:
        is_middle = call.writes and call.object.endswith(f"/deployments/{name}-openwebui")
        return Beside(after=strike_once) if is_middle and not struck else None

    return rule


def strike(leader: Replica, how: str) -> None:
    numbers = {"killed": signal.SIGKILL, "terminated": signal.SIGTERM, "stopped": signal.SIGSTOP}
    if how in numbers:
        leader.send(numbers[how])
        return
    leader.proxy.rule = lambda _: Cut(done=False)
    leader.proxy.silence()


@pytest.mark.parametrize("skew", ["+10m", "-10m"])
def test_a_wrong_clock_changes_nothing_of_who_leads_and_what_is_made(
    cluster: Cluster, replicas: list[Replica], before: frozenset[str], skew: str
) -> None:
    """F11: the replica whose clock is wrong leads, is killed, stands by, and leads again."""
    first, second = replicas
    first.skew = skew
    sign = {"+": "early", "-": "late"}[skew[0]]
    names = tuple(f"{sign}-{letter}" for letter in "abc")
    first.start()
    second.start()
    make(cluster, names[0])
    eventually(lambda: are_made(cluster, names[0]), "the one with the wrong clock makes it")
    stays(cluster, leader=first, other=second)
    first.send(signal.SIGKILL)
    takes_over(cluster, second, AFTER_A_KILL_SECONDS)
    make(cluster, names[1])
    eventually(lambda: are_made(cluster, names[1]), "the other one makes it")
    assert_one_after_the_other(first, second)
    first.proxy.heal()
    first.start()
    stays(cluster, leader=second, other=first)
    second.send(signal.SIGTERM)
    takes_over(cluster, first, AFTER_SIGTERM_SECONDS)
    make(cluster, names[2])
    eventually(lambda: are_made(cluster, names[2]), "the one with the wrong clock leads again")
    assert_one_after_the_other(second, first)
    assert_as_undisturbed(cluster, *names)
    if sign == "early":
        assert_at_rest(first.proxy, first.log)
    delete(cluster, *names, before=before)


def stays(cluster: Cluster, *, leader: Replica, other: Replica) -> None:
    """For longer than a lease lasts, it leads, and the other one writes nothing."""
    let_pass(AFTER_A_KILL_SECONDS, "the other one would take over")
    assert holder(cluster) == leader.identity
    assert other.writes() == []
