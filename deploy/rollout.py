"""Wait for Deployments, and say what their pods wait for."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from aichat_workspace.domain import names
from deploy.errors import DeploymentFailedError
from deploy.kubectl import Kubectl
from localcluster.progress import Report

_LOOK_SECONDS: Final = 1.0
_LAST_EVENTS: Final = 10


def wait(
    kubectl: Kubectl,
    deployments: Sequence[str],
    seconds: float,
    report: Report,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Wait until all replicas of the Deployments run as specified and are available.

    `check` is called at every look, and may raise.

    Raises:
        KubectlError: kubectl failed.
        DeploymentFailedError: the time is over; the message says what the pods wait for.
    """
    deadline = time.monotonic() + seconds
    pending = dict.fromkeys(deployments, "not looked at yet")
    while pending:
        check()
        for name, last_message in [*pending.items()]:
            deployment = kubectl.get("deployment", name, "-n", names.SYSTEM_NAMESPACE)
            message = progress(deployment)
            if message != last_message:
                report(name, message or "runs")
            if message:
                pending[name] = message
            else:
                del pending[name]
        if pending and time.monotonic() > deadline:
            waiting = "; ".join(f"{name}: {message}" for name, message in pending.items())
            reasons = diagnosis(kubectl, [*pending])
            raise DeploymentFailedError(
                f"not available after {seconds:.0f} s: {waiting}\n{reasons}"
            )
        time.sleep(_LOOK_SECONDS if pending else 0)


def progress(deployment: dict[str, Any] | None) -> str:
    """Return what a Deployment still waits for; empty once it runs as specified.

    As `kubectl rollout status` decides it.
    """
    if deployment is None:
        return "it does not exist"
    status, expected = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "its controller has not seen the change"
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    if updated < expected:
        return f"{updated} of {expected} pods are of this release"
    if total > updated:
        return f"{total - updated} pods of the release before end"
    available = status.get("availableReplicas", 0)
    if available < updated:
        return f"{available} of {expected} pods are available"
    return ""


def diagnosis(kubectl: Kubectl, deployments: Sequence[str]) -> str:
    """Return what the Deployments' pods wait for, and the namespace's last events."""
    pods = [
        pod
        for name in deployments
        for pod in kubectl.items(
            *("pods", "-n", names.SYSTEM_NAMESPACE, "-l", f"app.kubernetes.io/name={name}")
        )
    ]
    events = kubectl.items("events", "-n", names.SYSTEM_NAMESPACE)
    events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return "\n".join(
        [
            *(line for pod in pods for line in pod_problems(pod)),
            *(f"  event: {_event(event)}" for event in events[-_LAST_EVENTS:]),
            *(
                f"  its log: kubectl -n {names.SYSTEM_NAMESPACE} logs deployment/{name}"
                for name in deployments
            ),
        ]
    )


def pod_problems(pod: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each container that does not run, or for a pod that no node has taken."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for container in status.get("containerStatuses", ()):
        state = container.get("state", {})
        for kind in ("waiting", "terminated"):
            if kind in state:
                reason, message = state[kind].get("reason", kind), state[kind].get("message", "")
                yield f"  pod {name}: {reason} {message}".rstrip()
        if "running" in state and not container.get("ready"):
            yield f"  pod {name}: it runs, and says that it is not ready"
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"  pod {name}: {condition.get('reason')} {condition.get('message', '')}".rstrip()


def _event(event: dict[str, Any]) -> str:
    regarding = event.get("involvedObject", {}).get("name", "")
    return f"{regarding}: {event.get('reason')} {event.get('message', '')}".rstrip()
