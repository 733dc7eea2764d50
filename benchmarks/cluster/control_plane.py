"""Start a control plane for benchmarks alone."""

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

ROOT: Final = Path(__file__).parents[2]
_LOCALCLUSTER: Final = (sys.executable, "-m", "localcluster")
_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Plane:
    """A control plane with the product's configuration.

    `kubeconfig` is the administrator's, the others are of the product's own accounts.
    """

    server: str
    ca_file: Path
    kubeconfig: Path
    api_kubeconfig: Path
    operator_kubeconfig: Path


@contextmanager
def running(name: str) -> Iterator[Plane]:
    """Run a control plane with the product's configuration until the context ends."""
    with cluster(name) as status, TemporaryDirectory() as folder:
        kubeconfig = Path(status["kubeconfig"])
        run(*kubectl(kubeconfig), "apply", "-k", str(ROOT / "config" / "default"))
        own = [Path(folder, account) for account in (names.API, names.OPERATOR)]
        for path in own:
            write_kubeconfig(path, kubeconfig, f"{names.SYSTEM_NAMESPACE}/{path.name}")
        yield Plane(status["server"], Path(status["ca_file"]), kubeconfig, *own)


@contextmanager
def cluster(name: str, *options: str) -> Iterator[dict[str, Any]]:
    """Run a control plane, give its status, and remove it in the end."""
    try:
        run(*_LOCALCLUSTER, "up", "--name", name, *options)
        yield json.loads(run(*_LOCALCLUSTER, "status", "--name", name, "-o", "json"))
    finally:
        run(*_LOCALCLUSTER, "down", "--name", name)


def kubectl(kubeconfig: Path) -> tuple[str, ...]:
    """Return the command for kubectl with a kubeconfig."""
    return ("kubectl", f"--kubeconfig={kubeconfig}")


def write_kubeconfig(path: Path, admin: Path, account: str) -> None:
    """Write the kubeconfig of a service account, namespace/name."""
    namespace, _, name = account.partition("/")
    command = ("create", "token", name, "-n", namespace, "--duration=6h")
    path.touch(mode=0o600)
    path.write_text(_with_token(admin, run(*kubectl(admin), *command).strip()))


def _with_token(kubeconfig: Path, token: str) -> str:
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    return yaml.safe_dump(config)


def run(*command: str) -> str:
    """Run a command and return its output.

    Raises:
        CalledProcessError: it failed.
    """
    process = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=_SECONDS
    )
    return process.stdout
