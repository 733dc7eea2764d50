"""The life of a cluster: up, down, and what is there."""

import shutil

from localcluster import binaries, state
from localcluster.controlplane import start_control_plane
from localcluster.errors import AlreadyRunningError, NotRunningError
from localcluster.process import stop
from localcluster.progress import Report
from localcluster.state import Cluster


def up(name: str, report: Report) -> Cluster:
    """Bring a control plane up from nothing.

    Raises:
        AlreadyRunningError: one of this name runs.
        CommandFailedError: something could not be built or started.
    """
    programs = binaries.ensure(binaries.KUBERNETES, report)
    with state.locked(name):
        found = state.load(name)
        if found and found.running():
            raise AlreadyRunningError(
                f"cluster {name!r} runs already; use it with KUBECONFIG={found.kubeconfig}, or "
                f"end it with: python -m localcluster down --name {name}"
            )
        _remove(name, report)
        return start_control_plane(name, programs, report)


def down(name: str, report: Report) -> bool:
    """End a cluster and remove all that it left. False when there was none."""
    with state.locked(name):
        return _remove(name, report)


def get(name: str) -> Cluster:
    """Raises NotRunningError when there is no cluster of this name."""
    found = state.load(name)
    if found is None:
        raise NotRunningError(
            f"there is no cluster {name!r}; start one with: python -m localcluster up --name {name}"
        )
    return found


def _remove(name: str, report: Report) -> bool:
    """Also cleans up after a run that was interrupted."""
    found = state.load(name)
    if found is None:
        return False
    for component in reversed(found.components):
        report("stopping", component.name)
        stop(component)
    shutil.rmtree(found.folder)
    return True
