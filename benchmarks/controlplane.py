"""A control plane of its own with the product's configuration, and nobody else on it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from aichat_workspace.domain import names
from benchmarks.subject import Subject

ROOT: Final = Path(__file__).parents[1]
_LOCALCLUSTER: Final = (sys.executable, "-m", "localcluster")
_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Plane:
    """`kubeconfig` is the administrator's, the others those of the product's own accounts."""

    server: str
    ca_file: Path
    kubeconfig: Path
    api_kubeconfig: Path
    operator_kubeconfig: Path


@dataclass(frozen=True, slots=True)
class SubjectPlane:
    """A control plane for one operator. `kubeconfig` is the administrator's, and
    `subject_kubeconfig` that of the operator's account."""

    kubeconfig: Path
    subject_kubeconfig: Path
    audit_log: Path


@contextmanager
def running(name: str) -> Iterator[Plane]:
    with _cluster(name) as status, TemporaryDirectory() as folder:
        kubeconfig = Path(status["kubeconfig"])
        _run(*_kubectl(kubeconfig), "apply", "-k", str(ROOT / "config" / "default"))
        own = [Path(folder, account) for account in (names.API, names.OPERATOR)]
        for path in own:
            _write_kubeconfig(path, kubeconfig, f"{names.SYSTEM_NAMESPACE}/{path.name}")
        yield Plane(status["server"], Path(status["ca_file"]), kubeconfig, *own)


@contextmanager
def running_for(
    subject: Subject, name: str, *, pods_at: str = "", audit_bodies: bool = False
) -> Iterator[SubjectPlane]:
    """A control plane with what the operator needs there. With an address for pods there are
    simulated nodes, on which they become Ready; without one, pods stay pending."""
    options = [f"--simulated-pods={pods_at}"] if pods_at else []
    options += ["--audit-bodies"] if audit_bodies else []
    with _cluster(name, *options) as status, TemporaryDirectory() as folder:
        kubeconfig = Path(status["kubeconfig"])
        kubectl = _kubectl(kubeconfig)
        for path in subject.manifests:
            how = "-k" if (path / "kustomization.yaml").exists() else "-f"
            _run(*kubectl, "apply", "--server-side", how, str(path))
        if subject.is_foreign:
            namespace, _, account = subject.account.partition("/")
            _run(*kubectl, "create", "serviceaccount", account, "-n", namespace)
            grant = ("--clusterrole=cluster-admin", f"--serviceaccount={namespace}:{account}")
            _run(*kubectl, "create", "clusterrolebinding", "bench-subject", *grant)
        own = Path(folder, "kubeconfig")
        _write_kubeconfig(own, kubeconfig, subject.account)
        yield SubjectPlane(kubeconfig, own, Path(status["audit_log"]))


@contextmanager
def _cluster(name: str, *options: str) -> Iterator[dict[str, Any]]:
    """Gone in the end, however that comes."""
    try:
        _run(*_LOCALCLUSTER, "up", "--name", name, *options)
        yield json.loads(_run(*_LOCALCLUSTER, "status", "--name", name, "-o", "json"))
    finally:
        _run(*_LOCALCLUSTER, "down", "--name", name)


def _kubectl(kubeconfig: Path) -> tuple[str, ...]:
    return ("kubectl", f"--kubeconfig={kubeconfig}")


def _write_kubeconfig(path: Path, admin: Path, account: str) -> None:
    """That of a service account, namespace/name."""
    namespace, _, name = account.partition("/")
    command = ("create", "token", name, "-n", namespace, "--duration=6h")
    path.touch(mode=0o600)
    path.write_text(_with_token(admin, _run(*_kubectl(admin), *command).strip()))


def _with_token(kubeconfig: Path, token: str) -> str:
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    return yaml.safe_dump(config)


def _run(*command: str) -> str:
    ran = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=_SECONDS
    )
    return ran.stdout
