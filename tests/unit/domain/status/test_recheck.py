"""A status stands until the next recheck: a simulated clock compares each second."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.pod_change import running_images
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.recheck import next_recheck
from aichat_workspace.domain.status.status import compute_status
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus
from tests.unit.domain.samples import NOW, as_cached, desired, namespace, workspace

NAME = "team-a-aichat"
OBJECTS = as_cached(desired())
RESOURCE = workspace()
ACTUAL = {"observedGeneration": 0, "readyReplicas": 1, "updatedReplicas": 1, "replicas": 1}


def ago(seconds: int) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def pod(component: str, metadata: Mapping[str, Any] | None = None, **status: Any) -> Manifest:
    labels = {
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/name": f"{NAME}-{component}",
    }
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"{NAME}-{component}-0",
            "namespace": NAME,
            "uid": "p",
            "creationTimestamp": ago(5),
            "labels": labels,
            **(metadata or {}),
        },
        "status": {"phase": "Pending", **status},
    }


def unschedulable(message: str) -> list[dict[str, Any]]:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return [{**scheduled, "message": message, "lastTransitionTime": ago(3)}]


def restarted(*, ready: bool) -> list[dict[str, Any]]:
    """A container that ended a minute ago for the third time, each time soon after its start."""
    last = {"terminated": {"startedAt": ago(70), "finishedAt": ago(60)}}
    running = {"name": "ollama", "restartCount": 3, "lastState": last, "ready": ready}
    return [{**running, "image": "i:1", "state": {"running": {}}}]


def objects(**changes: Mapping[str, Any]) -> dict[Ref, Manifest]:
    """The tenant's objects; `changes` are merged into those of a kind."""
    return {ref: {**manifest, **changes.get(ref.kind, {})} for ref, manifest in OBJECTS.items()}


WITHOUT_A_VOLUME = "pod has unbound immediate PersistentVolumeClaims"
SELECTED = {"annotations": {"volume.kubernetes.io/selected-node": "n"}, "name": "c"}
CASES = {
    "nothing is there yet": Observed(namespace=namespace()),
    "a StatefulSet without a pod": Observed(
        namespace=namespace(), objects=objects(StatefulSet={"status": {"replicas": 0}})
    ),
    "a StatefulSet that was corrected without effect": Observed(
        namespace=namespace(),
        objects=objects(
            StatefulSet={
                "metadata": {"name": f"{NAME}-ollama", "changedAt": ago(-20)},
                "status": {"replicas": 0},
            }
        ),
    ),
    "no node takes the pod": Observed(
        objects=OBJECTS, pods=(pod("ollama", conditions=unschedulable("too little cpu")),)
    ),
    "the pod gets no volume": Observed(
        objects=OBJECTS, pods=(pod("ollama", conditions=unschedulable(WITHOUT_A_VOLUME)),)
    ),
    "the claim gets no volume on its node": Observed(
        objects=objects(
            PersistentVolumeClaim={
                "metadata": {**SELECTED, "creationTimestamp": ago(2)},
                "status": {"phase": "Pending"},
            }
        ),
        pods=(pod("ollama"),),
    ),
    "the pod does not get ready": Observed(
        objects=OBJECTS,
        pods=(
            pod(
                "ollama",
                conditions=[{"type": "Ready", "status": "False", "lastTransitionTime": ago(4)}],
            ),
        ),
    ),
    "the pod does not end": Observed(
        objects=OBJECTS,
        pods=(pod("ollama", {"deletionTimestamp": (NOW + timedelta(seconds=20)).isoformat()}),),
    ),
    "the chat's pod is refused": Observed(
        objects=objects(
            Deployment={
                "status": {
                    "conditions": [
                        {
                            "type": "ReplicaFailure",
                            "status": "True",
                            "message": "exceeded quota",
                            "lastTransitionTime": ago(3),
                        }
                    ]
                }
            }
        ),
    ),
    "a container keeps stopping": Observed(
        objects=OBJECTS, pods=(pod("ollama", containerStatuses=restarted(ready=False)),)
    ),
    "a container that kept stopping lasts": Observed(
        objects=objects(StatefulSet={"status": ACTUAL}, Deployment={"status": ACTUAL}),
        pods=(
            pod(
                "ollama",
                containerStatuses=restarted(ready=True),
                conditions=[{"type": "Ready", "status": "True", "lastTransitionTime": ago(50)}],
            ),
        ),
    ),
}


def status_at(seconds: int, observed: Observed, before: WorkspaceStatus) -> WorkspaceStatus:
    inputs = StatusInputs(url="u", desired=tuple(OBJECTS), observed=observed)
    resource = RESOURCE.model_copy(update={"status": before})
    return compute_status(resource, inputs, NOW + timedelta(seconds=seconds))


def changes(observed: Observed) -> Iterator[int]:
    """The seconds at which the status changes by itself; it fails where no recheck was due."""
    status = status_at(0, observed, RESOURCE.status)
    status = status_at(0, observed, status)
    due: set[int] = set()
    for second in range(1, 700):
        recheck = next_recheck(status, observed, NOW + timedelta(seconds=second - 1))
        if recheck is not None:
            due.add(second - 1 + int(recheck.total_seconds()))
        following = status_at(second, observed, status)
        if following != status:
            assert second in due, f"nothing would have looked {second} s later"
            yield second
        status = following


@pytest.mark.parametrize("case", CASES)
def test_a_status_changes_only_when_a_recheck_is_due(case: str) -> None:
    seconds = list(changes(CASES[case]))
    assert seconds or case == "nothing is there yet"


def test_a_workspace_that_waits_for_long_is_not_requeued() -> None:
    observed = CASES["no node takes the pod"]
    status = status_at(0, observed, RESOURCE.status)
    assert next_recheck(status, observed, NOW + timedelta(minutes=10)) is None
    assert running_images(observed) is not None


def test_an_available_workspace_is_left_alone() -> None:
    workloads = objects(StatefulSet={"status": ACTUAL}, Deployment={"status": ACTUAL})
    observed = Observed(objects=workloads, pods=(pod("ollama"), pod("openwebui")))
    assert next_recheck(status_at(0, observed, RESOURCE.status), observed, NOW) is None
