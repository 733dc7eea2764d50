"""A control plane of its own with the product's configuration, and nobody else on it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import yaml

from aichat_workspace.domain import names

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


@contextmanager
def running(name: str) -> Iterator[Plane]:
    _run(*_LOCALCLUSTER, "up", "--name", name)
    try:
        status = json.loads(_run(*_LOCALCLUSTER, "status", "--name", name, "-o", "json"))
        kubeconfig = Path(status["kubeconfig"])
        kubectl = ("kubectl", f"--kubeconfig={kubeconfig}")
        _run(*kubectl, "apply", "-k", str(ROOT / "config" / "default"))
        with TemporaryDirectory() as folder:
            own = [Path(folder, account) for account in (names.API, names.OPERATOR)]
            for path in own:
                account = (path.name, "-n", names.SYSTEM_NAMESPACE)
                token = _run(*kubectl, "create", "token", *account, "--duration=2h").strip()
                path.write_text(_with_token(kubeconfig, token))
            yield Plane(status["server"], Path(status["ca_file"]), kubeconfig, *own)
    finally:
        _run(*_LOCALCLUSTER, "down", "--name", name)


def _with_token(kubeconfig: Path, token: str) -> str:
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    return yaml.safe_dump(config)


def _run(*command: str) -> str:
    ran = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=_SECONDS
    )
    return ran.stdout
