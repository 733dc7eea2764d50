"""A real API server with the product's own configuration applied."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from localcluster.ports import free_port
from tests.kube import Kube
from tests.waiting import eventually, recorded

ROOT = Path(__file__).parents[2]
SYSTEM = "aichat-workspace-operator-system"
OPERATOR = "aichat-workspace-operator"
BACKUP_IMAGE = "aichat-workspace-operator:under-test"
"""What runs of backups have: an operator on a laptop has no pod whose image it could be."""
OPERATOR_USER = f"system:serviceaccount:{SYSTEM}:{OPERATOR}"


@dataclass(frozen=True)
class Cluster:
    """A control plane, and kubectl against it."""

    kubeconfig: Path
    audit_log: Path
    authentication_config: Path

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl printed; its errors too where `check` is off."""
        with recorded(f"kubectl {' '.join(arguments)}"):
            ran = subprocess.run(
                ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=150,
                check=False,
            )
        if check and ran.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {ran.stderr}")
        return ran.stdout + (ran.stderr if not check else "")

    def apply(self, document: dict[str, Any], *, check: bool = True) -> str:
        """Where `check` is off, what the API server says against it; else it has to be taken."""
        if not check:
            return self.kube.refusal(document)
        self.kube.apply(document)
        return ""

    def get(self, *arguments: str) -> Any:
        """What `kubectl get -o json` gives. Raises AssertionError with the API server's reason."""
        return self.kube.get(*arguments)

    def names(self, kinds: str, namespace: str) -> list[str]:
        """As `kubectl get -o name` has them, sorted."""
        return sorted(map(_named, self.get(kinds, "-n", namespace)["items"]))

    def writes(self) -> list[str]:
        """Everything that the operator wrote, whatever it was about, by the API server's audit log:
        all but reads, its lease and writes for trial."""
        return [f"{entry['verb']} {_reference(entry)}" for entry in self._writes()]

    def rests(self, seconds: float) -> bool:
        """Whether the operator has written nothing for so long."""
        moments = [datetime.fromisoformat(entry["stageTimestamp"]) for entry in self._writes()]
        return (datetime.now(UTC) - max(moments)).total_seconds() > seconds

    def _writes(self) -> Iterator[Any]:
        for entry in self._of_operator():
            if (
                entry["verb"] not in ("get", "list", "watch")
                and entry["objectRef"]["resource"] != "leases"
                and "dryRun=All" not in entry["requestURI"]
            ):
                yield entry

    def requests(self, about: str) -> list[str]:
        """What the operator asked for that names a workspace or its resource, by the API server's
        audit log. What is made is named by no address, but in the log."""
        name = re.compile(rf"[/=]{about}\b")
        return [
            f"{entry['verb']} {entry['requestURI']}"
            for entry in self._of_operator()
            if name.search(entry["requestURI"]) or name.search(f"/{_reference(entry)}")
        ]

    def _of_operator(self) -> Iterator[Any]:
        with self.audit_log.open() as lines:
            for line in lines:
                if OPERATOR_USER not in line or not line.endswith("\n"):
                    continue
                entry = json.loads(line)
                if entry["user"]["username"] == OPERATOR_USER:
                    yield entry

    @cached_property
    def kube(self) -> Kube:
        return Kube(self.kubeconfig)


def _named(manifest: Any) -> str:
    group = manifest["apiVersion"].rpartition("/")[0]
    kind = ".".join(filter(None, [manifest["kind"].lower(), group]))
    return f"{kind}/{manifest['metadata']['name']}"


def _reference(entry: Any) -> str:
    """What a request was about, as `namespace/kind/name/part`; a list's has no name, and that of
    what is no object nothing at all."""
    reference = entry.get("objectRef", {})
    parts = (reference.get(key) for key in ("namespace", "resource", "name", "subresource"))
    return "/".join(filter(None, parts))


def workspace(name: str, resource: str | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatWorkspace",
        "metadata": {"name": resource or name, "namespace": SYSTEM},
        "spec": {"workspaceName": name, **spec},
    }


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with control_plane(f"integration-{os.getpid()}") as control:
        yield control


@pytest.fixture(scope="session")
def bare_cluster() -> Iterator[Cluster]:
    """A control plane with nothing of the product, which its tests leave as they found it."""
    with bare_control_plane(f"bare-{os.getpid()}") as control:
        yield control


@contextmanager
def control_plane(name: str, *options: str) -> Iterator[Cluster]:
    """A control plane with everything of config/default. The options are those of `up`."""
    with bare_control_plane(name, *options) as control:
        control.kubectl("apply", "-k", str(ROOT / "config" / "default"))
        wait_for_kinds(control)
        yield control


def wait_for_kinds(cluster: Cluster) -> None:
    """Until the API server serves the product's resources: a moment after they were applied."""
    kinds = ("aichatworkspaces", "aichatplatforms")
    crds = (f"crd/{kind}.apps.aichatworkspaces.io" for kind in kinds)
    cluster.kubectl("wait", "--for=condition=Established", *crds, "--timeout=60s")


@contextmanager
def bare_control_plane(name: str, *options: str) -> Iterator[Cluster]:
    """A control plane with nothing of the product."""
    run = [sys.executable, "-m", "localcluster"]
    with recorded("a control plane to start"):
        subprocess.run([*run, "up", "--name", name, *options], cwd=ROOT, check=True)
    try:
        process = subprocess.run(
            [*run, "status", "--name", name, "-o", "json"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        status = json.loads(process.stdout)
        yield Cluster(
            *(Path(status[key]) for key in ("kubeconfig", "audit_log", "authentication_config"))
        )
    finally:
        subprocess.run([*run, "down", "--name", name], cwd=ROOT, check=True)


@pytest.fixture(scope="session")
def operator_kubeconfig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return operators_access(cluster, tmp_path_factory.mktemp("operator"))


def operators_access(cluster: Cluster, folder: Path) -> Path:
    """Access as the operator's own service account, with nothing but its permissions."""
    token = cluster.kubectl("create", "token", OPERATOR, "-n", SYSTEM, "--duration=2h").strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def start_operator(
    kubeconfig: Path,
    log: Path,
    command: Sequence[str] = ("aichat-workspace-operator",),
    **environment: str,
) -> "subprocess.Popen[bytes]":
    """The operator as a process that has started; it adds to its log."""

    def starts() -> int:
        return log.read_text().count('"started"') if log.exists() else 0

    before = starts()
    with log.open("a") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, "KUBECONFIG": str(kubeconfig), **environment},
            stderr=out,
        )

    def runs() -> bool:
        assert process.poll() is None, f"the operator ended as it started:\n{log.read_text()}"
        return starts() > before

    try:
        eventually(runs, "the operator to start", story=log.read_text)
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return process


@pytest.fixture(scope="session")
def metrics_port() -> int:
    """Where the operator serves its metrics."""
    return free_port()


def platform(spec: object, name: str = "default") -> dict[str, Any]:
    """The platform's settings."""
    return {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatPlatform",
        "metadata": {"name": name},
        "spec": spec,
    }


def clear(cluster: Cluster) -> None:
    """Delete what other files have left, without waiting for the end."""
    cluster.kubectl("delete", "aiws", "--all", "-A", "--wait=false")
    restore_default_settings(cluster)


def restore_default_settings(cluster: Cluster) -> None:
    """Empty the AIChatPlatform: to delete it would keep its settings."""
    cluster.apply(platform({}))


@dataclass
class Operator:
    """The operator running as on a laptop, but with its service account's permissions. It goes on
    from one file to the next, until a test needs there to be none. Its log must hold no traceback
    in the end."""

    kubeconfig: Path
    metrics_port: int
    log: Path
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        if self._process is None:
            environment = {
                "ENV": "dev",
                "PROBE_PORT": str(self.metrics_port),
                "BACKUP_IMAGE": BACKUP_IMAGE,
            }
            self._process = start_operator(self.kubeconfig, self.log, **environment)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            assert process.wait(timeout=60) == 0, self.log.read_text()[-2000:]
            assert "Traceback" not in self.log.read_text()


@pytest.fixture(scope="session")
def shared_operator(
    operator_kubeconfig: Path, metrics_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    shared = Operator(
        operator_kubeconfig, metrics_port, tmp_path_factory.mktemp("operator") / "log"
    )
    yield shared
    shared.stop()


@pytest.fixture(scope="module")
def operator(cluster: Cluster, shared_operator: Operator) -> Path:
    """The log of the operator, which runs. It finds nothing that other files have left: a workspace
    of theirs would take its turn in an upgrade, and count towards limits."""
    clear(cluster)
    shared_operator.start()
    return shared_operator.log


@pytest.fixture
def no_samples(cluster: Cluster, operator: Path) -> None:
    """What another test has made of the same manifests is gone."""
    assert operator.exists()
    samples = {"aichatworkspace-sample", "aichatworkspace-team-a"}

    def remaining() -> set[str]:
        return samples & {
            resource["metadata"]["name"] for resource in cluster.get("aiws", "-A")["items"]
        }

    eventually(lambda: not remaining(), "former samples are gone")


@pytest.fixture(scope="module")
def no_operator(shared_operator: Operator) -> None:
    """Stop the operator, so that no operator sees what tests leave."""
    shared_operator.stop()


_CONDITIONS: Final = (
    '{range .items[*]}{.metadata.name}{range .status.conditions[?(@.status=="True")]}'
    "{'\\n  '}{.lastTransitionTime} {.reason}: {.message}{end}{'\\n'}{end}"
)
_TERMINATING: Final = (
    "get",
    "namespaces",
    "--field-selector=status.phase=Terminating",
    "-o",
    f"jsonpath={_CONDITIONS}",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure goes what the operator said, and how the workspaces were."""
    del call
    report = yield
    fixtures = getattr(item, "funcargs", {})
    if report.failed and isinstance(log := fixtures.get("operator"), Path):
        tail = "\n".join(log.read_text().splitlines()[-30:])
        report.sections.append(("the operator's log, at its end", tail))
        with suppress(subprocess.SubprocessError):
            listed = fixtures["cluster"].kubectl("get", "aiws,aichatplatform", "-A", check=False)
            report.sections.append(("the workspaces and settings", listed))
            terminating = fixtures["cluster"].kubectl(*_TERMINATING, check=False)
            report.sections.append(("why namespaces are still there", terminating))
    return report
