from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import Ref, ref
from aichat_workspace.domain.kubernetes.rewrites import Rewrite
from aichat_workspace.domain.models.status import ModelState, ModelStatus, PatternStatus
from aichat_workspace.domain.models.tools import ToolStatus
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.pod_change import PodTarget, plan_pods
from aichat_workspace.domain.planning.rollout import GRANTED
from aichat_workspace.domain.policy.ownership import Rejection
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.status import compute_status
from aichat_workspace.domain.v1alpha1.workspace_status import (
    ConditionStatus,
    ConditionType,
    Phase,
    WorkspaceStatus,
)
from tests.unit.domain.samples import NOW, as_cached, desired, namespace, workspace

DESIRED = desired()
READY_MODELS = (ModelStatus("gemma2:2b", ModelState.READY, managed=True),)


def available() -> dict[Any, Any]:
    ready = {"observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 1}
    return {key: {**obj, "status": ready} for key, obj in as_cached(DESIRED).items()}


FACTS = StatusInputs(
    url="http://team-a-aichat.localtest.me",
    desired=[ref(manifest) for manifest in DESIRED],
    observed=Observed(namespace(), available()),
    models=READY_MODELS,
    tools=ToolStatus("r1", is_current=True),
    ingress_classes=(
        {
            "metadata": {
                "name": "traefik",
                "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
            }
        },
    ),
)


def state_of(status: WorkspaceStatus, kind: ConditionType) -> tuple[ConditionStatus, str]:
    condition = status.condition(kind)
    assert condition is not None
    return condition.status, condition.reason


def test_a_complete_running_workspace_is_ready() -> None:
    status = compute_status(workspace(), FACTS, NOW)
    assert status.phase is Phase.READY
    assert status.is_created
    assert status.models_ready == "1/1"
    assert all(condition.status is ConditionStatus.TRUE for condition in status.conditions)


def test_a_status_that_says_nothing_new_is_the_same_at_any_time() -> None:
    first = compute_status(workspace(), FACTS, NOW)
    document = first.model_dump(mode="json", by_alias=True, exclude_none=True)
    again = compute_status(workspace(status=document), FACTS, NOW + timedelta(hours=1))
    assert again == first


def test_a_condition_is_dated_when_its_status_moves_and_not_when_its_words_do() -> None:
    first = compute_status(workspace(), FACTS, NOW)
    document = first.model_dump(mode="json", by_alias=True, exclude_none=True)
    later = NOW + timedelta(minutes=5)
    pulling = replace(FACTS, models=(ModelStatus("gemma2:2b", ModelState.PULLING),))
    status = compute_status(workspace(status=document), pulling, later)
    dates = {condition.type: condition.last_transition_time for condition in status.conditions}
    assert dates[ConditionType.MODELS_READY] == later
    assert dates[ConditionType.OLLAMA_AVAILABLE] == NOW


def test_a_missing_object_is_named() -> None:
    objects = {key: obj for key, obj in available().items() if key.kind != "Ingress"}
    status = compute_status(
        workspace(), replace(FACTS, observed=Observed(namespace(), objects)), NOW
    )
    provisioned = status.condition(ConditionType.PROVISIONED)
    assert provisioned is not None
    assert "Ingress team-a-aichat-openwebui" in provisioned.message
    assert status.phase is Phase.PROVISIONING


def test_downloads_are_a_phase_of_their_own() -> None:
    pulling = ModelStatus("gemma2:2b", ModelState.PULLING, 50, 200)
    status = compute_status(workspace(), replace(FACTS, models=(pulling,)), NOW)
    assert status.phase is Phase.PULLING_MODELS
    assert status.models[0].percent == 25
    ready = status.condition(ConditionType.READY)
    assert ready is not None
    assert ready.message == "downloading gemma2:2b 25%"


def test_speed_and_remaining_time_of_downloads_are_reported() -> None:
    slow = ModelStatus(
        "a:1", ModelState.PULLING, 50_000_000, 650_000_000, bytes_per_second=5 * 10**6
    )
    fast = replace(slow, name="b:1", bytes_per_second=12_500_000)
    still = replace(slow, name="c:1", bytes_per_second=0)
    status = compute_status(workspace(), replace(FACTS, models=(slow, fast, still)), NOW)
    assert [model.eta_seconds for model in status.models] == [120, 48, None]
    ready = status.condition(ConditionType.MODELS_READY)
    assert ready is not None
    assert ready.message == (
        "downloading a:1 7% at 5.0 MB/s, 2 min left, b:1 7% at 12.5 MB/s, 48 s left, c:1 7%"
    )


def test_long_messages_of_models_are_cut_in_the_status() -> None:
    long = "x" * 100_000
    model = ModelStatus("m:1", ModelState.FAILED, digest=long, message=long)
    pattern = PatternStatus("p", ModelState.FAILED, message=long)
    status = compute_status(workspace(), replace(FACTS, models=(model,), patterns=(pattern,)), NOW)
    assert (status.models[0].message, status.patterns[0].message) == (long[:1024], long[:1024])
    assert status.models[0].digest == long[:128]
    assert len(status.model_dump_json()) < 16_000


def test_a_status_that_was_written_with_longer_messages_is_read_all_the_same() -> None:
    entry = {"name": "m:1", "state": "Failed", "managed": True, "message": "x" * 100_000}
    (model,) = workspace(status={"models": [entry]}).status.models
    assert model.managed
    assert len(model.message) == 1024


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(FACTS, rejection=Rejection(Reason.NAMESPACE_TAKEN, "taken")), "NamespaceTaken"),
        (replace(FACTS, failure=Problem(Reason.WRITE_REFUSED, "no")), "WriteRefused"),
        (
            replace(FACTS, models=(ModelStatus("m:1", ModelState.FAILED, message="no such"),)),
            "ModelFailed",
        ),
        (
            replace(
                FACTS,
                models=(
                    ModelStatus("n:1", ModelState.READY),
                    ModelStatus(
                        "m:1", ModelState.FAILED, message="no", reason=Reason.MODEL_PRIVATE
                    ),
                ),
            ),
            "ModelPrivate",
        ),
        (
            replace(FACTS, patterns=(PatternStatus("p", ModelState.FAILED, message="unknown"),)),
            "ModelFailed",
        ),
    ],
)
def test_a_problem_that_needs_a_fix_is_degraded_with_its_reason(
    facts: StatusInputs, reason: str
) -> None:
    status = compute_status(workspace(), facts, NOW)
    assert status.phase is Phase.DEGRADED
    assert state_of(status, ConditionType.READY) == (ConditionStatus.FALSE, reason)


def test_a_workload_of_an_older_generation_is_not_available() -> None:
    objects = available()
    deployment = next(deployment for deployment in objects if deployment.kind == "Deployment")
    newer = {**objects[deployment]["metadata"], "generation": 2}
    objects[deployment] = {**objects[deployment], "metadata": newer}
    status = compute_status(
        workspace(), replace(FACTS, observed=Observed(namespace(), objects)), NOW
    )
    assert state_of(status, ConditionType.OPENWEBUI_AVAILABLE) == (
        ConditionStatus.FALSE,
        "Starting",
    )


def test_a_refused_workspace_records_no_namespace() -> None:
    status = compute_status(
        workspace(), replace(FACTS, rejection=Rejection(Reason.NAMESPACE_TAKEN, "taken")), NOW
    )
    assert status.namespace is None
    assert status.url is None


def test_a_resource_on_its_way_out_is_terminating() -> None:
    leaving = workspace(metadata={"deletionTimestamp": "2026-11-23T12:00:00Z"})
    assert compute_status(leaving, FACTS, NOW).phase is Phase.TERMINATING


def test_a_volume_that_is_not_as_asked_is_told_and_the_workspace_is_ready() -> None:
    smaller = workspace(storage={"ollama": {"size": "5Gi"}})
    status = compute_status(smaller, FACTS, NOW)
    assert state_of(status, ConditionType.STORAGE_AS_ASKED) == (ConditionStatus.FALSE, "VolumeKept")
    assert status.phase is Phase.READY


def test_a_platforms_larger_size_that_a_volume_can_not_have_is_told_as_well() -> None:
    claim = next(manifest for manifest in DESIRED if manifest["kind"] == "PersistentVolumeClaim")
    status = compute_status(workspace(), replace(FACTS, sizes={ref(claim): "90Gi"}), NOW)
    assert state_of(status, ConditionType.STORAGE_AS_ASKED) == (ConditionStatus.FALSE, "VolumeKept")
    assert status.phase is Phase.READY


def test_before_anything_was_rendered_not_everything_is_there() -> None:
    status = compute_status(workspace(), replace(FACTS, desired=()), NOW)
    assert state_of(status, ConditionType.PROVISIONED) == (ConditionStatus.FALSE, "Creating")
    assert not status.is_created


LEAVING = {"deletionTimestamp": "2026-11-23T11:50:00Z"}


def test_what_blocks_a_deletion_is_reported() -> None:
    held_by = {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 1"}
    stuck = {**namespace(**LEAVING), "status": {"conditions": [held_by]}}
    facts = replace(FACTS, observed=Observed(stuck))
    ready = compute_status(workspace(metadata=LEAVING), facts, NOW).condition(ConditionType.READY)
    assert ready is not None
    assert "pods. has 1" in ready.message
    refused = replace(facts, failure=Problem(Reason.WRITE_REFUSED, "not now"))
    status = compute_status(workspace(metadata=LEAVING), refused, NOW)
    assert state_of(status, ConditionType.READY) == (ConditionStatus.FALSE, "WriteRefused")
    assert status.phase is Phase.TERMINATING


def test_progress_is_told_beside_the_count() -> None:
    pulling = ModelStatus("gemma2:2b", ModelState.PULLING, 50, 200)
    status = compute_status(workspace(), replace(FACTS, models=(*READY_MODELS, pulling)), NOW)
    assert status.models_ready == "1/2 25%"


@pytest.mark.parametrize(
    ("gone", "said_so"), [("HTTPRoute", "IngressClass"), ("Ingress", "Gateway has accepted")]
)
def test_the_ingress_condition_covers_only_what_was_observed(gone: str, said_so: str) -> None:
    accepted = {"conditions": [{"type": "Accepted", "status": "True", "message": ""}]}
    route = {
        "metadata": {"name": "r"},
        "spec": {"parentRefs": [{"name": "front", "namespace": "edge"}]},
        "status": {"parents": [accepted]},
    }
    objects = {**available(), Ref("HTTPRoute", "team-a-aichat", "r"): route}
    remaining = {key: obj for key, obj in objects.items() if key.kind != gone}
    status = compute_status(
        workspace(), replace(FACTS, observed=Observed(namespace(), remaining)), NOW
    )
    served = status.condition(ConditionType.INGRESS_SERVED)
    assert served is not None
    assert said_so in served.message


PODS = plan_pods(workspace(), FACTS.observed, DESIRED, GRANTED, has_problems=False)
NEWER = replace(PODS, targets={ref: PodTarget("newer", "i:2") for ref in PODS.targets})


def test_it_is_up_to_date_when_it_runs_as_the_platforms_settings_are() -> None:
    status = compute_status(workspace(), replace(FACTS, pods=PODS), NOW)
    assert state_of(status, ConditionType.UP_TO_DATE) == (ConditionStatus.TRUE, "UpToDate")


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(None, "UpgradeWaiting"), (Problem(Reason.CEILING_EXCEEDED, "lower it"), "CeilingExceeded")],
)
def test_it_is_not_up_to_date_while_it_has_other_pods(failure: Problem | None, reason: str) -> None:
    status = compute_status(workspace(), replace(FACTS, pods=NEWER, failure=failure), NOW)
    assert state_of(status, ConditionType.UP_TO_DATE) == (ConditionStatus.FALSE, reason)


def test_what_a_webhook_changes_is_told_and_does_not_keep_it_from_being_ready() -> None:
    target = next(ref for ref in FACTS.observed.objects if ref.kind == "StatefulSet")
    rewrite = Rewrite(target, ("spec.template.spec.containers[ollama].image",), "r")
    status = compute_status(workspace(), replace(FACTS, rewrites=(rewrite,)), NOW)
    stored = status.condition(ConditionType.STORED_AS_APPLIED)
    assert stored is not None
    assert stored.reason == "RewrittenOnWrite"
    assert f"StatefulSet {target.name}: {rewrite.fields[0]}" in stored.message
    assert status.phase is Phase.READY
    assert [entry.name for entry in status.rewrites] == [target.name]


def flapping(*, ready: bool) -> dict[str, Any]:
    """A chat that crashes each time some seconds after it got ready."""
    last = {
        "startedAt": (NOW - timedelta(seconds=50)).isoformat(),
        "finishedAt": (NOW - timedelta(seconds=40)).isoformat(),
    }
    container = {
        "name": "openwebui",
        "restartCount": 2,
        "ready": ready,
        "state": {"running": {}},
        "lastState": {"terminated": last},
    }
    name = "team-a-aichat-openwebui"
    return {
        "metadata": {"name": f"{name}-1", "labels": {"app.kubernetes.io/name": name}},
        "status": {"containerStatuses": [container]},
    }


def test_images_with_which_a_container_keeps_stopping_are_not_proven_while_it_is_up() -> None:
    up = replace(FACTS, observed=replace(FACTS.observed, pods=(flapping(ready=True),)))
    assert compute_status(workspace(), FACTS, NOW).images is not None
    assert compute_status(workspace(), up, NOW).images is None
    later = NOW + timedelta(minutes=11)
    assert compute_status(workspace(), up, later).images is not None


def test_a_container_that_keeps_stopping_has_one_reason_at_all_times() -> None:
    objects = available()
    deployment = next(deployment for deployment in objects if deployment.kind == "Deployment")
    objects[deployment] = {**objects[deployment], "status": {}}
    down = Observed(namespace(), objects, (flapping(ready=False),))
    status = compute_status(workspace(), replace(FACTS, observed=down), NOW)
    assert state_of(status, ConditionType.OPENWEBUI_AVAILABLE) == (
        ConditionStatus.FALSE,
        "CrashLoop",
    )


def test_a_deleted_pod_does_not_count_for_the_workload() -> None:
    objects = available()
    deployment = next(deployment for deployment in objects if deployment.kind == "Deployment")
    objects[deployment] = {**objects[deployment], "status": {}}
    going = flapping(ready=False)
    going["metadata"]["deletionTimestamp"] = NOW.isoformat()
    down = Observed(namespace(), objects, (going,))
    status = compute_status(workspace(), replace(FACTS, observed=down), NOW)
    assert state_of(status, ConditionType.OPENWEBUI_AVAILABLE) == (
        ConditionStatus.FALSE,
        "Starting",
    )


def test_tools_that_are_not_offered_are_told_beside_a_workspace_that_is_ready() -> None:
    not_offered = replace(FACTS, tools=ToolStatus("r1", "its password was changed"))
    status = compute_status(workspace(), not_offered, NOW)
    condition = status.condition(ConditionType.TOOLS_OFFERED)
    assert condition is not None
    assert (condition.status, condition.reason) == (ConditionStatus.FALSE, "ToolsNotOffered")
    assert condition.message == "its password was changed"
    assert status.phase is Phase.READY
    assert status.tools_revision == "r1"


@pytest.mark.parametrize("suspended", [False, True])
def test_tools_are_not_said_to_be_offered_before_they_are(suspended: bool) -> None:
    resource = workspace(suspended=suspended)
    waiting = compute_status(resource, replace(FACTS, tools=ToolStatus("r1")), NOW)
    expected = "Suspended" if suspended else "ToolsWaiting"
    assert state_of(waiting, ConditionType.TOOLS_OFFERED) == (ConditionStatus.UNKNOWN, expected)
    assert waiting.phase is (Phase.SUSPENDED if suspended else Phase.READY)
    offered = compute_status(
        workspace(), replace(FACTS, tools=ToolStatus("r1", is_current=True)), NOW
    )
    assert state_of(offered, ConditionType.TOOLS_OFFERED) == (ConditionStatus.TRUE, "ToolsOffered")
