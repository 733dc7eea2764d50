"""Records of clusters, by which any later command can find and end them."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from localcluster.paths import cache_dir, state_dir, states_dir
from localcluster.processes.background import Process, is_alive
from localcluster.registry import catalog

CONTROL_PLANE: Final = "control-plane"
FULL: Final = "full"


@dataclass(frozen=True)
class Cluster:
    """The record of one cluster."""

    name: str
    """Its name; its folder has the same."""
    mode: str
    """`CONTROL_PLANE` or `FULL`."""
    server: str
    """The API server's URL."""
    token: str
    """An administrator's bearer token."""
    components: tuple[Process, ...] = field(default=())
    """Its processes in the order in which they were started."""
    complete: bool = False
    """Whether all components were started and became ready."""

    @property
    def folder(self) -> Path:
        return state_dir(self.name)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def ca_file(self) -> Path:
        return self.folder / "pki" / "apiserver.crt"

    @property
    def kubelet_client_authority(self) -> Path:
        """The authority of the API server's certificate as a client of the kubelet."""
        return self.folder / "pki" / "kubelet-clients" / "ca.crt"

    @property
    def authentication_config(self) -> Path:
        """The API server's further token issuers; it reads the file again when it changes."""
        return self.folder / "authentication.yaml"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def is_running(self) -> bool:
        return self.complete and all(is_alive(component) for component in self.components)

    def has_live_component(self) -> bool:
        return any(is_alive(component) for component in self.components)

    def report(self) -> dict[str, object]:
        """Return what `status -o json` prints."""
        return {
            "name": self.name,
            "mode": self.mode,
            "running": self.is_running(),
            "server": self.server,
            "token": self.token,
            "kubeconfig": str(self.kubeconfig),
            "ca_file": str(self.ca_file),
            "ingress_authority": str(cache_dir() / "authority" / "ca.crt"),
            "audit_log": str(self.audit_log),
            "authentication_config": str(self.authentication_config),
            "models": catalog.report() if self.mode == FULL else [],
            "components": [
                {
                    "name": component.name,
                    "pid": component.pid,
                    "state": "running" if is_alive(component) else "stopped",
                    "log": component.log,
                }
                for component in self.components
            ],
        }


def load(name: str) -> Cluster | None:
    """Return the record of a cluster, or None if there is none of this name."""
    path = state_dir(name) / "cluster.json"
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    components = tuple(Process(**component) for component in record.pop("components"))
    return Cluster(**record, components=components)


def save(cluster: Cluster) -> None:
    """Write the record of a cluster."""
    folder = state_dir(cluster.name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(folder, 0o700)  # noqa: PTH101  (it holds keys and an administrator's token)
    write_atomically(folder / "cluster.json", json.dumps(asdict(cluster), indent=2))


def write_atomically(path: Path, text: str) -> None:
    """Write a file that only its owner can read; after an interruption it is whole or absent."""
    partial = path.with_name(f"{path.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.rename(path)


def add(cluster: Cluster, component: Process) -> Cluster:
    """Record a process as soon as it runs, so that an interrupted `up` can be cleaned up."""
    extended = replace(cluster, components=(*cluster.components, component))
    save(extended)
    return extended


def all_clusters() -> list[Cluster]:
    """Return the records of all clusters, running or not."""
    records = (load(path.parent.name) for path in sorted(states_dir().glob("*/cluster.json")))
    return [record for record in records if record is not None]


def complete(cluster: Cluster) -> Cluster:
    """Record that everything runs and is ready."""
    completed = replace(cluster, complete=True)
    save(completed)
    return completed


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of a name: a cluster's, or that of something that clusters share."""
    states_dir().mkdir(parents=True, exist_ok=True)
    with (states_dir() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
