"""An operator that reaches the API server through a proxy that breaks what it is told to."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.proxy import Proxy, proxy_to
from tests.integration.conftest import Cluster, control_plane, operators_access, start_operator


@dataclass
class Operator:
    """The operator as a process that a test kills and starts again."""

    kubeconfig: Path
    log: Path
    _process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        self._process = start_operator(self.kubeconfig, self.log, ENV="dev", PROBE_PORT="0")

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
    """One that breaks nothing before a test and after it."""
    instance = through_proxy[0]
    instance.heal()
    yield instance
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
