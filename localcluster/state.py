"""What is written down of a cluster, so that any later command can find and end it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from localcluster.paths import cache_dir, state_dir, states_dir
from localcluster.processes.background import Started, alive
from localcluster.registry import catalog

CONTROL_PLANE: Final = "control-plane"
FULL: Final = "full"


@dataclass(frozen=True)
class Cluster:
    """One cluster. `components` are in the order in which they were started; `complete` says that
    all of them were, and became ready."""

    name: str
    mode: str
    server: str
    token: str
    components: tuple[Started, ...] = field(default=())
    complete: bool = False

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
        """Who vouches for the API server when it asks the kubelet."""
        return self.folder / "pki" / "kubelet-clients" / "ca.crt"

    @property
    def authentication_config(self) -> Path:
        """Whose tokens the API server accepts besides its own; it follows changes."""
        return self.folder / "authentication.yaml"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def running(self) -> bool:
        return self.complete and all(alive(each) for each in self.components)

    def any_alive(self) -> bool:
        return any(alive(each) for each in self.components)

    def report(self) -> dict[str, object]:
        """What `status -o json` prints."""
        return {
            "name": self.name,
            "mode": self.mode,
            "running": self.running(),
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
                    "name": each.name,
                    "pid": each.pid,
                    "state": "running" if alive(each) else "stopped",
                    "log": each.log,
                }
                for each in self.components
            ],
        }


def load(name: str) -> Cluster | None:
    """The cluster as written down, or None when there is none of this name."""
    path = state_dir(name) / "cluster.json"
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    components = tuple(Started(**each) for each in record.pop("components"))
    return Cluster(**record, components=components)


def save(cluster: Cluster) -> None:
    """Write the record whole or not at all."""
    path = _file(cluster.name)
    partial = path.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(asdict(cluster), indent=2))
    partial.rename(path)


def add(cluster: Cluster, started: Started) -> Cluster:
    """Write down a process as soon as it runs, so that an interrupted `up` can be cleaned up."""
    grown = replace(cluster, components=(*cluster.components, started))
    save(grown)
    return grown


def every() -> list[Cluster]:
    """All clusters that are written down, running or not."""
    found = (load(path.parent.name) for path in sorted(states_dir().glob("*/cluster.json")))
    return [cluster for cluster in found if cluster is not None]


def complete(cluster: Cluster) -> Cluster:
    """Write down that everything runs and is ready."""
    done = replace(cluster, complete=True)
    save(done)
    return done


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One command at a time for each name: a cluster's, or the one of what clusters share."""
    states_dir().mkdir(parents=True, exist_ok=True)
    with (states_dir() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _file(name: str) -> Path:
    folder = state_dir(name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(folder, 0o700)  # noqa: PTH101  (it holds keys and an administrator's token)
    return folder / "cluster.json"
