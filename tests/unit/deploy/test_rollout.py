from typing import Any

import pytest

from deploy import rollout
from deploy.errors import DeploymentFailedError
from deploy.rollout import pod_problems, progress
from localcluster.progress import silent
from tests.unit.deploy.cluster import FakeKubectl, release


def deployment(**status: int) -> dict[str, Any]:
    return {
        "metadata": {"generation": 2},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, **status},
    }


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (None, "it does not exist"),
        (deployment(observedGeneration=1), "its controller has not seen the change"),
        (deployment(), "0 of 2 pods are of this release"),
        (
            deployment(updatedReplicas=2, replicas=3, availableReplicas=3),
            "1 pods of the release before end",
        ),
        (
            deployment(updatedReplicas=2, replicas=2, availableReplicas=1),
            "1 of 2 pods are available",
        ),
        (deployment(updatedReplicas=2, replicas=2, availableReplicas=2), ""),
    ],
)
def test_a_rollout_ends_once_all_pods_are_new_and_available(
    stored: dict[str, Any] | None, message: str
) -> None:
    assert progress(stored) == message


def test_a_rollout_that_does_not_end_says_what_its_pods_and_the_events_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollout, "_LOOK_SECONDS", 0)
    kubectl = FakeKubectl()
    kubectl.apply(release("broken").others)
    waiting = {"reason": "ImagePullBackOff", "message": "who are you"}
    kubectl.objects["pod", "a"] = {
        "metadata": {"name": "a"},
        "status": {"containerStatuses": [{"state": {"waiting": waiting}}]},
    }
    for second, reason in ((2, "Failed"), (1, "Pulling")):
        kubectl.objects["event", reason] = {
            "lastTimestamp": f"2026-11-30T00:00:0{second}Z",
            "involvedObject": {"name": "a"},
            "reason": reason,
        }
    with pytest.raises(DeploymentFailedError) as error:
        rollout.wait(kubectl, ["aichat-workspace-operator"], 0.01, silent)
    lines = str(error.value).splitlines()
    assert lines[0].endswith("aichat-workspace-operator: 0 of 2 pods are available")
    assert lines[1] == "  pod a: ImagePullBackOff who are you"
    assert lines[2:4] == ["  event: a: Pulling", "  event: a: Failed"]
    assert lines[4].endswith("logs deployment/aichat-workspace-operator")


def test_progress_is_reported_once_for_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "_LOOK_SECONDS", 0)
    kubectl = FakeKubectl()
    lines: list[tuple[str, str]] = []
    kubectl.apply(release("broken").others)
    looks = iter(range(5))

    def check() -> None:
        if next(looks, None) is None:
            kubectl.apply(release("v1").others)

    rollout.wait(
        *(kubectl, ["aichat-workspace-operator"], 60),
        lambda step, message: lines.append((step, message)),
        check,
    )
    assert [message for _, message in lines] == ["0 of 2 pods are available", "runs"]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (
            {"containerStatuses": [{"state": {"terminated": {"reason": "Error"}}}]},
            "  pod a: Error",
        ),
        (
            {"containerStatuses": [{"state": {"running": {}}, "ready": False}]},
            "  pod a: it runs, and says that it is not ready",
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                ]
            },
            "  pod a: Unschedulable",
        ),
    ],
)
def test_a_pod_says_why_it_is_not_ready(status: dict[str, Any], line: str) -> None:
    assert list(pod_problems({"metadata": {"name": "a"}, "status": status})) == [line]


def test_a_pod_that_runs_has_no_problem() -> None:
    status = {"containerStatuses": [{"state": {"running": {}}, "ready": True}]}
    assert list(pod_problems({"metadata": {"name": "a"}, "status": status})) == []
