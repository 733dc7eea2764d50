"""What becomes of the pods of one workspace."""

import copy
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.pod_change import (
    PodChange,
    kept_images,
    plan_pods,
    running_images,
    with_kept_restarts,
    workloads,
)
from aichat_workspace.domain.planning.rollout import GRANTED, Refusal, RolloutSlot
from aichat_workspace.domain.render import render
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import Restart
from tests.unit.domain.samples import CREDENTIALS, as_cached, desired, workspace

NAME = "team-a-aichat"
MODEL_SERVER, CHAT = workloads(NAME)
OLD = PlatformSpec.model_validate({"images": {"openWebUI": "ghcr.io/open-webui/open-webui:v0.1.0"}})
IMAGES = {"ollama": OLD.images.ollama, "openWebUI": OLD.images.open_webui}
WORKED: dict[str, Any] = {"images": IMAGES, "rollout": {"generation": 1}}
WAITING = RolloutSlot(Refusal.WAITING, ("other",))


def resource(**changes: Any) -> Workspace:
    status = {**WORKED, **changes.pop("status", {})}
    return workspace(status=status, **changes)


def observed(platform: PlatformSpec = OLD) -> Observed:
    return Observed(objects=as_cached(desired(platform)))


def change(
    slot: RolloutSlot = WAITING,
    tenant: Observed | None = None,
    *,
    has_problems: bool = False,
    **changes: Any,
) -> PodChange:
    own = resource(**changes)
    manifests = render(own, PlatformSpec(), CREDENTIALS)
    return plan_pods(own, tenant or observed(), manifests, slot, has_problems=has_problems)


def test_outdated_pods_wait_for_a_slot_and_are_not_written() -> None:
    pods = change()
    assert pods.frozen == {CHAT}, "the model server's are as they should be"
    assert (pods.refusal, pods.blocked_by) == (Refusal.WAITING, ("other",))
    assert pods.keeps_images
    assert not pods.begins_turn


def test_a_slot_begins_a_turn_of_outdated_pods_and_of_no_others() -> None:
    assert change(GRANTED).begins_turn
    assert not change(GRANTED, observed(PlatformSpec())).begins_turn


@pytest.mark.parametrize("slot", [GRANTED, WAITING])
def test_a_workspaces_own_change_needs_no_slot_and_keeps_the_images(slot: RolloutSlot) -> None:
    pods = change(slot, metadata={"generation": 2})
    assert pods.frozen == frozenset()
    assert pods.keeps_images
    assert not pods.begins_turn


def test_new_contents_of_a_secret_are_its_own_change() -> None:
    tenant = observed()
    chat: Any = copy.deepcopy(tenant.objects[CHAT])
    (container,) = chat["spec"]["template"]["spec"]["containers"]
    (variable,) = (entry for entry in container["env"] if entry["name"] == "WEBUI_SECRET_KEY")
    variable["valueFrom"]["secretKeyRef"]["name"] = f"{names.openwebui(NAME)}-0123456789"
    assert change(tenant=Observed(objects={**tenant.objects, CHAT: chat})).frozen == frozenset()


@pytest.mark.parametrize(
    "changes",
    [
        {"suspended": True},
        {"status": {"images": None}},
        {"status": {"rollout": {"generation": 1, "turn": None}, "images": None}},
    ],
    ids=["suspended", "never worked", "nothing known"],
)
def test_pods_that_serve_nobody_change_at_once(changes: dict[str, Any]) -> None:
    pods = change(**changes)
    assert (pods.frozen, pods.refusal, pods.takes_part) == (frozenset(), None, False)


TURN = {
    "state": "Failed",
    "target": "earlier",
    "until": "2026-11-23T12:00:00Z",
    "generation": 1,
    "wasAvailable": True,
}


def test_a_turn_follows_each_change_of_the_platform_without_a_slot() -> None:
    in_turn: dict[str, Any] = {"rollout": {"generation": 1, "turn": TURN}}
    pods = change(status=in_turn)
    assert pods.begins_turn
    assert pods.refusal is None
    same = {"rollout": {"generation": 1, "turn": {**TURN, "target": pods.digest}}}
    assert not change(status=same).begins_turn
    assert not change(status=in_turn, metadata={"generation": 2}).begins_turn, "an edit is not one"


def test_a_workspace_with_a_problem_keeps_its_pods_and_takes_no_slot() -> None:
    pods = change(GRANTED, has_problems=True)
    assert pods.frozen == {CHAT}
    assert not pods.takes_part


def test_a_skipped_workspace_keeps_its_pods_in_a_turn_too() -> None:
    in_turn: dict[str, Any] = {"rollout": {"generation": 1, "turn": TURN}}
    pods = change(RolloutSlot(Refusal.SKIPPED), status=in_turn)
    assert pods.frozen == {CHAT}
    assert pods.is_skipped


def test_a_missing_workload_is_outdated_where_it_last_worked_with_another_image() -> None:
    tenant = observed()
    objects = {ref: manifest for ref, manifest in tenant.objects.items() if ref != CHAT}
    pods = change(tenant=Observed(objects=objects))
    assert pods.refusal is Refusal.WAITING
    assert pods.frozen == frozenset(), "it is written with the image that it had"
    new = {"ollama": IMAGES["ollama"], "openWebUI": PlatformSpec().images.open_webui}
    assert change(tenant=Observed(objects=objects), status={"images": new}).refusal is None


def test_workloads_of_an_older_release_have_no_digest_and_take_a_turn() -> None:
    tenant = observed(PlatformSpec())
    objects: dict[Ref, Any] = {**tenant.objects}
    for workload in (MODEL_SERVER, CHAT):
        objects[workload] = copy.deepcopy(objects[workload])
        del objects[workload]["metadata"]["annotations"][names.POD_TEMPLATE_ANNOTATION]
        del objects[workload]["metadata"]["annotations"][names.IMAGE_ANNOTATION]
    assert change(tenant=Observed(objects=objects)).frozen == {MODEL_SERVER, CHAT}
    assert running_images(Observed(objects=objects)) == PlatformSpec().images.resolved


def test_a_field_that_somebody_took_over_is_restored_at_once() -> None:
    tenant = observed()
    chat: Any = copy.deepcopy(tenant.objects[CHAT])
    chat["spec"]["template"]["spec"]["containers"][0]["image"] = "evil/webui:1"
    containers: dict[str, Any] = {'k:{"name":"openwebui"}': {".": {}, "f:image": {}}}
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": containers}}}}
    chat["metadata"]["foreignFields"] = [fields]
    objects = {**tenant.objects, CHAT: chat}
    assert change(tenant=Observed(objects=objects)).frozen == frozenset()
    images = kept_images(resource(), Observed(objects=objects), PlatformSpec())
    assert images.resolved == OLD.images.resolved


def restarted(text: str) -> Observed:
    """What was applied for a restart of the model server."""
    manifests = render(workspace(restart={"ollama": text}), OLD, CREDENTIALS)
    return Observed(objects=as_cached(manifests))


def test_a_restart_changes_the_pods_of_its_workload_at_once_and_waits_for_no_turn() -> None:
    changes: dict[str, Any] = {"restart": {"ollama": "monday"}, "metadata": {"generation": 2}}
    pods = change(WAITING, observed(PlatformSpec()), **changes)
    assert pods.outdated(observed(PlatformSpec()), resource().status) == {MODEL_SERVER}
    assert (pods.frozen, pods.keeps_images, pods.begins_turn) == (frozenset(), True, False)


def test_a_restart_that_is_taken_out_of_a_spec_is_kept_by_its_workload() -> None:
    restart = with_kept_restarts(workspace(), restarted("monday")).spec.restart
    assert (restart.ollama, restart.open_webui) == ("monday", "")
    newer = with_kept_restarts(workspace(restart={"ollama": "friday"}), restarted("monday"))
    assert newer.spec.restart.ollama == "friday"
    assert with_kept_restarts(workspace(), Observed()).spec.restart == Restart()


def test_a_restart_that_no_spec_could_ask_for_is_not_kept() -> None:
    tenant = restarted("monday")
    server: Any = copy.deepcopy(tenant.objects[MODEL_SERVER])
    server["spec"]["template"]["metadata"]["annotations"][names.RESTART_ANNOTATION] = "x" * 65
    edited = Observed(objects={**tenant.objects, MODEL_SERVER: server})
    assert with_kept_restarts(workspace(), edited).spec.restart.ollama == ""


def test_images_that_a_webhook_rewrote_are_kept_as_they_were_applied() -> None:
    tenant = observed()
    chat: Any = copy.deepcopy(tenant.objects[CHAT])
    chat["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror.example.org/webui:1"
    objects = {**tenant.objects, CHAT: chat}
    assert running_images(Observed(objects=objects)) == OLD.images.resolved
    assert change(tenant=Observed(objects=objects)).frozen == {CHAT}
