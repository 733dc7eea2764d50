"""One run at a time: a Lease in the operator's namespace.

No two machines' clocks are compared: a lock is free when its holder has not renewed it for
`LEASE_SECONDS` by our own clock, as Kubernetes' leader election does it.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aichat_workspace.domain import names
from deploy.errors import LockLostError, RefusedError
from deploy.kubectl import Kubectl, KubectlError
from localcluster.progress import Report

LEASE: Final = "aichat-workspace-deploy"
LEASE_SECONDS: Final = 20.0
_RENEW_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 1.0


@dataclass
class Lock:
    """A lock that is ours until another run takes it over."""

    kubectl: Kubectl
    holder: str
    lease: dict[str, Any]
    renewed: float = field(default_factory=time.monotonic)
    lost: str = ""

    def check(self) -> None:
        """Do nothing while the lock is ours.

        Raises:
            LockLostError: another run may have it.
        """
        if not self.lost and time.monotonic() - self.renewed > LEASE_SECONDS:
            self.lost = f"it was not renewed for {LEASE_SECONDS:.0f} s"
        if self.lost:
            raise LockLostError(
                f"the lock {LEASE} is no longer ours: {self.lost}. This run has stopped where it "
                "was; once no other run goes on, run it again"
            )

    def renew(self) -> None:
        """Renew it; a failure counts once the time is over, or at once where another has it."""
        began = time.monotonic()
        try:
            self.lease = _replace(self.kubectl, self.lease, self.holder)
        except KubectlError as error:
            if "(Conflict)" in str(error) or "(NotFound)" in str(error):
                self.lost = str(error)
        else:
            self.renewed = began

    def release(self) -> None:
        if not self.lost:
            with suppress(KubectlError):
                _replace(self.kubectl, self.lease, "")


@contextmanager
def acquire(kubectl: Kubectl, report: Report) -> Iterator[Lock]:
    """Hold the lock during the block.

    Raises:
        KubectlError: kubectl failed.
        RefusedError: another run holds it.
    """
    holder = f"{os.environ.get('USER') or 'somebody'}@{socket.gethostname()}"
    holder = f"{holder}/{os.getpid()}-{secrets.token_hex(4)}"
    lock = Lock(kubectl, holder, _take(kubectl, holder, report))
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(_RENEW_SECONDS) and not lock.lost:
            lock.renew()

    thread = threading.Thread(target=renew, name="lock", daemon=True)
    thread.start()
    try:
        yield lock
    finally:
        ended.set()
        thread.join()
        lock.release()


def _take(kubectl: Kubectl, holder: str, report: Report) -> dict[str, Any]:
    lease = kubectl.get("lease", LEASE, "-n", names.SYSTEM_NAMESPACE)
    try:
        if lease is None:
            return _write(kubectl, "create", _lease(holder))
        if lease["spec"].get("holderIdentity"):
            _await_expiry(kubectl, lease, report)
        return _replace(kubectl, lease, holder)
    except KubectlError as error:
        if "(Conflict)" in str(error) or "(AlreadyExists)" in str(error):
            raise _busy(kubectl) from error
        raise


def _await_expiry(kubectl: Kubectl, lease: dict[str, Any], report: Report) -> None:
    """Wait as long as the lock of a run that was killed has to stay.

    Raises:
        RefusedError: its holder renews it, so it is alive.
    """
    deadline = time.monotonic() + LEASE_SECONDS
    holder = lease["spec"]["holderIdentity"]
    report("lock", f"{holder} has it; does it go on? It is free after {LEASE_SECONDS:.0f} s")
    while time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        now = kubectl.get("lease", LEASE, "-n", names.SYSTEM_NAMESPACE)
        if (
            now is None
            or now["metadata"]["resourceVersion"] != lease["metadata"]["resourceVersion"]
        ):
            if now is None or not now["spec"].get("holderIdentity"):
                message = "it has just ended; run this again"
            else:
                message = "wait for its end, and run this again"
            raise RefusedError(f"another run deploys to this cluster: {holder}; {message}")


def _busy(kubectl: Kubectl) -> RefusedError:
    lease = kubectl.get("lease", LEASE, "-n", names.SYSTEM_NAMESPACE) or {"spec": {}}
    holder = lease["spec"].get("holderIdentity") or "it has ended meanwhile"
    return RefusedError(
        f"another run deploys to this cluster: {holder}; wait for its end, and run this again"
    )


def _lease(holder: str) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LEASE, "namespace": names.SYSTEM_NAMESPACE},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": int(LEASE_SECONDS),
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


def _replace(kubectl: Kubectl, lease: dict[str, Any], holder: str) -> dict[str, Any]:
    """Write it unless somebody else has written since `lease` was read."""
    new = _lease(holder)
    new["metadata"]["resourceVersion"] = lease["metadata"]["resourceVersion"]
    return _write(kubectl, "replace", new)


def _write(kubectl: Kubectl, verb: str, lease: dict[str, Any]) -> dict[str, Any]:
    text = kubectl.run(verb, "-f", "-", "-o", "json", stdin=json.dumps(lease))
    written: dict[str, Any] = json.loads(text)
    return written
