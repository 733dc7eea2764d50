"""An operator that reaches the API server through a proxy that breaks what it is told to."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.oracles import (
    are_gone,
    are_made,
    assert_at_rest,
    foreign_writes,
    scan,
    stem,
    unconditional_deletions,
)
from tests.faults.proxy import Call, Proxy, proxy_to
from tests.faults.steps import CALM, make
from tests.integration.conftest import (
    BACKUP_IMAGE,
    SYSTEM,
    Cluster,
    control_plane,
    operators_access,
    start_operator,
)
from tests.waiting import eventually

Rest = Callable[[str], None]


@dataclass
class Operator:
    """The operator as a process that a test kills and starts again."""

    kubeconfig: Path
    log: Path
    _process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        environment = {"ENV": "dev", "PROBE_PORT": "0", "BACKUP_IMAGE": BACKUP_IMAGE}
        self._process = start_operator(self.kubeconfig, self.log, **environment)

    def kill(self) -> None:
        """As the kernel does: nothing is finished, nothing is told."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=10)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with control_plane(f"faults-{os.getpid()}") as control:
        yield control


@pytest.fixture(scope="session")
def through_proxy(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, Path]]:
    with proxy_to(operators_access(cluster, tmp_path_factory.mktemp("operator"))) as both:
        yield both


@pytest.fixture
def proxy(through_proxy: tuple[Proxy, Path]) -> Iterator[Proxy]:
    """One that breaks nothing before a test and after it. O3 holds in the end, by its record."""
    instance = through_proxy[0]
    instance.heal()
    yield instance
    assert foreign_writes(instance) == []
    assert unconditional_deletions(instance.calls) == []
    instance.heal()


@pytest.fixture
def operator(through_proxy: tuple[Proxy, Path], proxy: Proxy, tmp_path: Path) -> Iterator[Operator]:
    """Its log must hold no traceback in the end."""
    assert proxy.calls == []
    instance = Operator(through_proxy[1], tmp_path / "log")
    instance.start()
    yield instance
    if instance.alive:
        instance.kill()
    assert "Traceback" not in instance.log.read_text()


@pytest.fixture(scope="session")
def writes(
    cluster: Cluster,
    through_proxy: tuple[Proxy, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Call]:
    """Every write that an undisturbed workspace takes, from its making to its end, each once. The
    workspace `calm` stays, to compare with."""
    proxy, kubeconfig = through_proxy
    operator = Operator(kubeconfig, tmp_path_factory.mktemp("calm") / "log")
    operator.start()
    make(cluster, CALM, "passing")
    eventually(lambda: are_made(cluster, CALM, "passing"), "both are made")
    cluster.kubectl("delete", "aiws", "passing", "-n", SYSTEM, "--timeout=90s")
    eventually(lambda: are_gone(cluster, "passing"), "passing is gone")
    operator.kill()
    calls = [
        Call(call.verb, stem(call.object).replace("passing", "NAME"), call.occurrence)
        for call in proxy.calls
        if call.writes
        and "passing" in call.object
        and "/events/" not in call.object
        # The finalizer comes and goes, the status changes; everything else is written once.
        and call.occurrence <= (2 if "/aichatworkspaces/" in call.object else 1)
    ]
    assert len(calls) > 18
    return calls


@pytest.fixture
def before(cluster: Cluster, writes: list[Call]) -> frozenset[str]:
    """Everything that is in the cluster when the test begins."""
    assert writes
    return scan(cluster)


@pytest.fixture(scope="session")
def rested() -> set[str]:
    """The rows after which a minute's rest was looked at."""
    return set()


@pytest.fixture
def rest(proxy: Proxy, operator: Operator, rested: set[str]) -> Rest:
    """O6, once for a row, for all that its first test has made."""

    def rest(row: str) -> None:
        if row not in rested:
            assert_at_rest(proxy, operator.log)
            rested.add(row)

    return rest
