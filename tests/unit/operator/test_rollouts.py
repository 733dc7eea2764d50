"""Upgrades of a fleet, from the platform's edit to the last workspace that is available again."""

import copy
from functools import partial
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain import render as rendering
from aichat_workspace.domain.decision.decisions import Decision, Provision
from aichat_workspace.domain.decision.snapshot import Snapshot
from aichat_workspace.kube.errors import ApiError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.executor import Executor
from aichat_workspace.operator.snapshots import Snapshots
from tests.unit.operator.fleet import SYSTEM, Fleet

OLD_CHAT, NEW_CHAT = "ghcr.io/open-webui/open-webui:v0.1.0", "ghcr.io/open-webui/open-webui:v0.2.0"
OLD: Any = {"images": {"openWebUI": OLD_CHAT}}
NEW: Any = {"images": {"openWebUI": NEW_CHAT}}
STRICT: Any = {"concurrent": 1, "maxFailures": 0}
MIRROR = "mirror.example.org"


async def fleet_of(*workspaces: str, **settings: Any) -> Fleet:
    fleet = Fleet(*workspaces, **{**OLD, **settings})
    await fleet.start()
    return fleet


def changed(fleet: Fleet, *workspaces: str) -> list[str]:
    """Those whose chat has the new image."""
    return [name for name in workspaces if NEW_CHAT in fleet.images(name)[1]]


def order(fleet: Fleet) -> list[str]:
    return list(fleet.rollouts.board.waiting)


async def upgrade(fleet: Fleet, *workspaces: str) -> list[list[str]]:
    """Let each workspace that changes become available. Return who changed together."""
    waves = []
    for _ in workspaces:
        await fleet.settle()
        wave = [name for name in workspaces if fleet.rollouts.board.stage(name) == "changing"]
        if not wave:
            break
        waves.append(wave)
        for name in wave:
            fleet.available(name)
    return waves


async def test_an_image_reaches_two_at_a_time_and_all_in_the_end() -> None:
    fleet = await fleet_of(*"abcde")
    fleet.settings(**NEW)
    waves = await upgrade(fleet, *"abcde")
    assert [len(wave) for wave in waves] == [2, 2, 1]
    assert changed(fleet, *"abcde") == [*"abcde"]
    await fleet.settle()
    assert fleet.reasons(*"abcde") == ["UpToDate"] * 5
    assert fleet.rollouts.board.counts()["done"] == 5
    fleet.cluster.writes.clear()
    for name in "abcde":
        await fleet.reconcile(name)
    assert fleet.cluster.writes == []


async def test_nothing_changes_a_rendering_that_the_next_look_gets_again() -> None:
    fleet = await fleet_of("a", "b", quota={"cpu": "16"})
    fleet.settings(**NEW)
    await upgrade(fleet, "a", "b")
    fleet.edit("a", suspended=True)
    await fleet.settle()
    remembered = list(rendering._last_rendered.values())
    assert len(remembered) > 2
    for tenant, manifests in remembered:
        assert manifests == rendering._render(tenant)


@pytest.mark.parametrize(
    "settings",
    [
        {"ollama": {"memoryLimit": "9Gi"}},
        {"openWebUI": {"cpuRequest": "200m"}},
        {"ingress": {"domain": "elsewhere.test"}},
        {"models": {"embeddingModel": "all-minilm"}},
    ],
)
async def test_whatever_changes_a_pod_template_takes_a_turn(settings: dict[str, Any]) -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    before = {name: copy.deepcopy(fleet.workloads(name)) for name in "abc"}
    fleet.settings(**OLD, **settings, upgrades={"concurrent": 1})
    await fleet.settle()
    templates = {
        name: [workload["spec"]["template"] for workload in fleet.workloads(name)]
        == [workload["spec"]["template"] for workload in before[name]]
        for name in "abc"
    }
    assert sorted(templates.values()) == [False, True, True]


async def test_walls_quota_and_ways_in_wait_for_no_turn() -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    network = {"egressExcept": ["10.0.0.0/8"]}
    fleet.settings(
        **OLD,
        network=network,
        ingress={"domain": "elsewhere.test"},
        ollama={"memoryLimit": "9Gi"},
        upgrades={"concurrent": 1},
    )
    await fleet.settle()
    for name in "abc":
        ingress = fleet.cluster.objects[("Ingress", name, names.openwebui(name))]
        assert ingress["spec"]["rules"][0]["host"] == f"{name}.elsewhere.test"
        policies = [obj for key, obj in fleet.cluster.objects.items() if key[1] == name]
        assert "100.64.0.0/10" not in str(policies)


async def test_who_waits_says_for_whom() -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    (changing,) = changed(fleet, *"abc")
    assert fleet.reasons(changing) == ["Upgrading"]
    waiting = [name for name in "abc" if name != changing]
    for name in waiting:
        await fleet.reconcile(name)
        assert fleet.reasons(name) == ["UpgradeWaiting"]
        assert f"'{changing}'" in fleet.condition(name)["message"]


async def test_a_workspaces_own_edit_goes_at_once_with_the_images_that_it_has() -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    waiting = next(name for name in "abc" if fleet.rollouts.board.stage(name) == "waiting")
    fleet.edit(waiting, resources={"openWebUI": {"memoryLimit": "3Gi"}})
    await fleet.settle()
    container = fleet.workloads(waiting)[1]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["memory"] == "3Gi"
    assert container["image"] == OLD_CHAT
    assert fleet.rollouts.board.stage(waiting) == "waiting"


async def test_what_a_spec_only_tells_people_takes_no_pending_change_along() -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    settings: Any = {"openWebUI": {"cpuRequest": "200m"}, "upgrades": {"concurrent": 1}}
    fleet.settings(**OLD, **settings)
    await fleet.settle()
    waiting = next(name for name in "abc" if fleet.rollouts.board.stage(name) == "waiting")
    before = fleet.workloads(waiting)[1]["spec"]["template"]
    fleet.edit(waiting, description="The team's chat", labels={"tier": "gold"}, displayName="Red")
    await fleet.settle()
    assert fleet.workloads(waiting)[1]["spec"]["template"] == before
    assert fleet.rollouts.board.stage(waiting) == "waiting"


async def test_an_own_edit_still_goes_at_once_after_an_error_that_passes() -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    waiting = next(name for name in "abc" if fleet.rollouts.board.stage(name) == "waiting")
    write = f"apply Deployment {names.openwebui(waiting)}"
    fleet.cluster.refuse(write, ApiError(503, "ServiceUnavailable", "no leader"))
    fleet.edit(waiting, resources={"openWebUI": {"memoryLimit": "3Gi"}})
    await fleet.settle()
    del fleet.cluster.refusals[write]
    await fleet.reconcile(waiting)
    container = fleet.workloads(waiting)[1]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["memory"] == "3Gi"


async def test_who_scales_a_waiting_workload_disturbs_no_pods_and_is_named_in_the_end() -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    waiting = next(name for name in "abc" if fleet.rollouts.board.stage(name) == "waiting")
    fleet.cluster.applied.clear()
    scaler = {"manager": "hpa", "subresource": "scale", "f:spec": {"f:replicas": {}}}
    for _ in range(5):
        assert fleet.condition(waiting, "Synced")["reason"] == "Synced"
        scaled = copy.deepcopy(fleet.workloads(waiting)[1])
        scaled["spec"]["replicas"] = 7
        scaled["metadata"]["foreignFields"] = [scaler]
        fleet.caches.observe(fleet.cluster.store(scaled))
        await fleet.settle()
        assert fleet.workloads(waiting)[1]["spec"]["replicas"] == 1
    assert fleet.cluster.applied == []
    assert "'hpa'" in fleet.condition(waiting, "Synced")["message"]


async def test_an_edit_that_changes_no_pods_delays_no_turn() -> None:
    fleet = await fleet_of(*"ab", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    (changing,) = changed(fleet, *"ab")
    (waiting,) = order(fleet)
    fleet.available(changing)
    await fleet.reconcile(changing)
    assert waiting in fleet.queue, "it has the slot now"
    fleet.edit(waiting, expiresAfter="9d")
    await fleet.settle()
    assert changed(fleet, *"ab") == ["a", "b"]


async def test_a_workspace_that_can_not_be_decided_on_delays_no_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    take = Snapshots.take

    def crash(snapshots: Snapshots, name: str) -> Snapshot:
        if name == broken:
            raise RuntimeError
        return take(snapshots, name)

    broken = [*fleet.queue][-1]
    with monkeypatch.context() as patch:
        patch.setattr(Snapshots, "take", crash)
        with pytest.raises(RuntimeError):
            await fleet.settle()
        await fleet.settle()
    assert len(changed(fleet, *"abc")) == 1


async def test_a_new_password_goes_at_once() -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    waiting = next(name for name in "abc" if fleet.rollouts.board.stage(name) == "waiting")
    before = str(fleet.workloads(waiting)[1]["spec"]["template"])
    secret = fleet.cluster.objects[("Secret", SYSTEM, names.credentials(waiting))]
    renewed = {**secret["data"], "WEBUI_ADMIN_PASSWORD": "bmV3ZXI="}
    fleet.caches.secrets.observe(fleet.cluster.store({**secret, "data": renewed}))
    await fleet.settle()
    after = str(fleet.workloads(waiting)[1]["spec"]["template"])
    assert after != before
    assert OLD_CHAT in after


async def test_drift_of_a_waiting_workload_is_repaired() -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    waiting = next(name for name in "abc" if fleet.rollouts.board.stage(name) == "waiting")
    model_server, chat = fleet.workloads(waiting)
    evil = copy.deepcopy(chat)
    evil["spec"]["template"]["spec"]["containers"][0]["image"] = "evil/webui:1"
    fields: dict[str, Any] = {'k:{"name":"openwebui"}': {".": {}, "f:image": {}}}
    pod = {"f:template": {"f:spec": {"f:containers": fields}}}
    entry = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": pod}}
    evil["metadata"]["managedFields"] = [entry]
    fleet.caches.observe(fleet.cluster.store(evil))
    await fleet.settle()
    assert fleet.images(waiting)[1] == OLD_CHAT
    scaled = {**chat, "spec": {**chat["spec"], "replicas": 0}}
    scaled["metadata"] = {**fleet.workloads(waiting)[1]["metadata"]}
    fleet.caches.observe(fleet.cluster.store(scaled))
    await fleet.settle()
    assert fleet.workloads(waiting)[1]["spec"]["replicas"] == 1
    fleet.delete_workload(waiting, "Deployment")
    await fleet.reconcile(waiting)
    assert fleet.images(waiting)[1] == OLD_CHAT
    assert model_server["kind"] == "StatefulSet"


async def test_a_waiting_workspace_can_be_suspended_and_takes_no_slot_then() -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    waiting = next(name for name in "abc" if fleet.rollouts.board.stage(name) == "waiting")
    fleet.edit(waiting, suspended=True)
    await fleet.settle()
    assert fleet.workloads(waiting)[1]["spec"]["replicas"] == 0
    assert fleet.images(waiting)[1] == NEW_CHAT, "nothing runs there"
    assert fleet.rollouts.board.stage(waiting) is None
    fleet.edit(waiting, suspended=False)
    await fleet.settle()
    assert fleet.images(waiting)[1] == NEW_CHAT
    assert fleet.rollouts.board.stage(waiting) == "done"


async def test_a_failure_within_the_budget_gives_its_turn_on_and_the_next_one_stops_all() -> None:
    fleet = await fleet_of(*"abcd", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    (first,) = changed(fleet, *"abcd")
    fleet.fail(first)
    await fleet.settle()
    assert fleet.reasons(first) == ["UpgradeFailed"]
    assert len(changed(fleet, *"abcd")) == 2
    (second,) = {*changed(fleet, *"abcd")} - {first}
    fleet.fail(second)
    looked_at = await fleet.settle()
    assert {*looked_at} == {second}, "a failing neighbour concerns no other"
    assert {*changed(fleet, *"abcd")} == {first, second}
    waiting = next(name for name in "abcd" if name not in (first, second))
    await fleet.reconcile(waiting)
    assert fleet.reasons(waiting) == ["UpgradeStopped"]
    message = fleet.condition(waiting)["message"]
    assert f"'{first}'" in message
    assert f"'{second}'" in message


async def test_a_correction_reaches_those_that_failed_first_and_then_goes_on() -> None:
    fleet = await fleet_of(*"abc", upgrades=STRICT)
    fleet.settings(images={"openWebUI": "ghcr.io/no/such:1"}, upgrades=STRICT)
    await fleet.settle()
    (failed,) = (name for name in "abc" if "no/such" in fleet.images(name)[1])
    fleet.fail(failed)
    await fleet.settle()
    fleet.settings(**NEW, upgrades=STRICT)
    await fleet.settle()
    assert changed(fleet, *"abc") == [failed]
    fleet.pod(failed)
    fleet.available(failed)
    waves = await upgrade(fleet, *"abc")
    assert len(waves) == 2
    assert changed(fleet, *"abc") == [*"abc"]


async def test_a_turn_ends_after_its_time_and_the_workspace_is_named() -> None:
    """Two that got no node held up all others, for ever and in silence."""
    fleet = await fleet_of(*"abcdef", upgrades={"maxFailures": 2})
    fleet.settings(**NEW, upgrades={"maxFailures": 2})
    await fleet.settle()
    first = changed(fleet, *"abcdef")
    assert len(first) == 2
    until = min([await fleet.reconcile(name) or 0.0 for name in first])
    assert 0 < until <= 900, "it is looked at again then"
    fleet.pass_time(minutes=15)
    for name in first:
        await fleet.reconcile(name)
    await fleet.settle()
    assert fleet.reasons(*first) == ["UpgradeFailed"] * 2
    assert len(changed(fleet, *"abcdef")) == 4
    assert fleet.rollouts.ended_turns == 2
    fleet.available(first[0])
    await fleet.settle()
    assert fleet.reasons(first[0]) == ["UpToDate"], "late is better than never"


async def test_what_a_workspace_did_to_itself_counts_against_no_budget() -> None:
    """One that gave itself too little memory in its turn stopped everybody's upgrade."""
    fleet = await fleet_of(*"abc", upgrades=STRICT)
    fleet.settings(**NEW, upgrades=STRICT)
    await fleet.settle()
    (own,) = changed(fleet, *"abc")
    fleet.edit(own, resources={"openWebUI": {"memoryLimit": "16Mi"}})
    await fleet.settle()
    fleet.fail(own, "CrashLoopBackOff")
    await fleet.settle()
    assert fleet.reasons(own) == ["UpgradeStuck"]
    assert len(changed(fleet, *"abc")) == 2


async def test_a_workspace_that_did_not_run_before_comes_last_and_proves_nothing() -> None:
    fleet = await fleet_of(*"abc", upgrades=STRICT)
    fleet.fail("a", "CrashLoopBackOff")
    await fleet.settle()
    fleet.settings(**NEW, upgrades=STRICT)
    waves = [await _one_turn(fleet) for _ in range(2)]
    assert sorted(waves) == ["b", "c"]
    await fleet.settle()
    assert fleet.reasons("a") == ["UpgradeStuck"]
    assert changed(fleet, "a") == ["a"]


async def _one_turn(fleet: Fleet) -> str:
    await fleet.settle()
    name = next(name for name in "abc" if fleet.rollouts.board.stage(name) == "changing")
    fleet.available(name)
    return name


async def test_a_refused_workload_is_a_failure_and_a_passing_error_is_none() -> None:
    fleet = await fleet_of(*"abc", upgrades=STRICT)
    for name in "abc":
        fleet.cluster.refuse(f"apply Deployment {names.openwebui(name)}")
    fleet.settings(**NEW, upgrades=STRICT)
    await fleet.settle()
    (refused,) = (name for name in "abc" if fleet.rollouts.board.stage(name) == "failed")
    assert fleet.reasons(refused) == ["UpgradeFailed"]
    assert "the quota is full" in fleet.condition(refused)["message"]
    assert fleet.rollouts.board.is_stopped(fleet.caches.settings.spec().upgrades)
    write = f"apply Deployment {names.openwebui(refused)}"
    fleet.cluster.refuse(write, ApiError(503, "ServiceUnavailable", "no leader"))
    await fleet.reconcile(refused)
    fleet.cluster.refusals.clear()
    await fleet.reconcile(refused)
    assert fleet.rollouts.board.stage(refused) == "changing"


async def test_a_passing_error_stops_no_rollout() -> None:
    fleet = await fleet_of(*"abc", upgrades=STRICT)
    for name in "abc":
        write = f"apply Deployment {names.openwebui(name)}"
        fleet.cluster.refuse(write, ApiError(503, "ServiceUnavailable", "no leader"))
    fleet.settings(**NEW, upgrades=STRICT)
    await fleet.settle()
    assert fleet.rollouts.board.counts() == {
        "waiting": 2,
        "changing": 1,
        "failed": 0,
        "stuck": 0,
        "skipped": 0,
        "done": 0,
    }


async def test_the_turns_are_the_same_after_a_restart() -> None:
    fleet = await fleet_of(*"abcdef")
    fleet.settings(**NEW)
    await fleet.settle()
    turns, waiting = changed(fleet, *"abcdef"), order(fleet)
    again = fleet.restart()
    assert changed(again, *"abcdef") == turns
    await again.settle()
    assert changed(again, *"abcdef") == turns
    assert order(again) == waiting
    assert len(await upgrade(again, *"abcdef")) == 3


async def test_an_interruption_right_after_the_slot_was_given_loses_no_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = await fleet_of(*"abc", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    with monkeypatch.context() as patch:
        patch.setattr(Executor, "execute", _interrupted(Executor.execute))
        with pytest.raises(RuntimeError):
            await fleet.settle()
    (turn,) = (name for name in "abc" if fleet.status(name)["rollout"].get("turn"))
    assert changed(fleet, *"abc") == []
    again = fleet.restart()
    await again.settle()
    assert changed(again, *"abc") == [turn]


def _interrupted(execute: Any) -> Any:
    """A reconcile that ends before the first write of a turn."""

    async def execute_or_fail(executor: Executor, decision: Decision) -> object:
        if isinstance(decision, Provision) and decision.pods.begins_turn:
            raise RuntimeError
        return await execute(executor, decision)

    return execute_or_fail


async def test_a_label_of_the_workspace_or_its_namespace_orders_the_turns() -> None:
    fleet = Fleet(*"abcd", **OLD, upgrades={"concurrent": 1})
    await fleet.start()
    fleet.edit("c", {"labels": {names.UPGRADE_ORDER_LABEL: "1"}})
    fleet.edit("a", {"labels": {names.UPGRADE_ORDER_LABEL: "999"}})
    fleet.edit("d", {"labels": {names.UPGRADE_ORDER_LABEL: "soon"}})
    await fleet.settle()
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    waves = await upgrade(fleet, *"abcd")
    assert waves[0] == ["c"]
    assert waves[-1] == ["a"]


async def test_upgrades_are_paused_and_resumed_by_an_annotation() -> None:
    fleet = await fleet_of(*"abc")
    paused = {names.UPGRADES_ANNOTATION: names.PAUSED}
    fleet.settings(paused, **NEW)
    await fleet.settle()
    assert changed(fleet, *"abc") == []
    assert fleet.reasons(*"abc") == ["UpgradePaused"] * 3
    fleet.settings(**NEW)
    await fleet.settle()
    assert len(changed(fleet, *"abc")) == 2


async def test_a_workspace_is_left_out_by_an_annotation() -> None:
    fleet = await fleet_of(*"abc")
    fleet.edit("b", {"annotations": {names.UPGRADES_ANNOTATION: names.SKIPPED}})
    await fleet.settle()
    fleet.settings(**NEW)
    await upgrade(fleet, *"abc")
    assert changed(fleet, *"abc") == ["a", "c"]
    assert fleet.reasons("b") == ["UpgradeSkipped"]
    assert fleet.rollouts.board.counts()["skipped"] == 1
    fleet.edit("b", {"annotations": {}})
    await upgrade(fleet, *"abc")
    assert changed(fleet, *"abc") == [*"abc"]


async def test_a_failed_workspace_can_be_left_out_so_that_the_others_go_on() -> None:
    fleet = await fleet_of(*"abc", upgrades=STRICT)
    fleet.settings(**NEW, upgrades=STRICT)
    await fleet.settle()
    (failed,) = changed(fleet, *"abc")
    fleet.fail(failed)
    await fleet.settle()
    assert len(changed(fleet, *"abc")) == 1
    fleet.edit(failed, {"annotations": {names.UPGRADES_ANNOTATION: names.SKIPPED}})
    await fleet.settle()
    assert len(changed(fleet, *"abc")) == 2


async def test_a_workspace_that_never_ran_waits_for_nobody() -> None:
    fleet = Fleet(*"abc", **OLD, upgrades=STRICT)
    await fleet.settle()
    fleet.settings(**NEW, upgrades=STRICT)
    await fleet.settle()
    assert changed(fleet, *"abc") == [*"abc"]


async def test_a_deletion_brings_nobody_back_but_those_that_get_its_slot() -> None:
    fleet = await fleet_of(*"abcd", upgrades={"concurrent": 1})
    fleet.settings(**NEW, upgrades={"concurrent": 1})
    await fleet.settle()
    (changing,) = changed(fleet, *"abcd")
    waiting = order(fleet)
    fleet.edit(waiting[-1], {"deletionTimestamp": "2026-11-23T12:00:00Z"})
    assert await fleet.settle() == [waiting[-1]]
    fleet.edit(changing, {"deletionTimestamp": "2026-11-23T12:00:00Z"})
    assert {*await fleet.settle()} == {changing, waiting[0]}


async def test_behind_a_webhook_that_rewrites_images_all_are_upgraded_and_nothing_loops() -> None:
    fleet = Fleet(*"abcd", **OLD)
    fleet.cluster.admit = _from_mirror
    await fleet.start()
    for name in "abcd":
        await fleet.reconcile(name)
    assert fleet.cluster.writes == []
    stored = fleet.condition("a", "StoredAsApplied")
    assert stored["reason"] == "RewrittenOnWrite"
    assert "spec.template.spec.containers[openwebui].image" in stored["message"]
    fleet.pass_time(minutes=1)
    fleet.settings(**NEW)
    await upgrade(fleet, *"abcd")
    await fleet.settle()
    assert [fleet.images(name)[1] for name in "abcd"] == [NEW_CHAT.replace("ghcr.io", MIRROR)] * 4
    assert fleet.reasons(*"abcd") == ["UpToDate"] * 4
    assert fleet.condition("a", "StoredAsApplied") == stored, "its turn was no other news"
    fleet.cluster.writes.clear()
    again = fleet.restart()
    await again.settle()
    assert again.cluster.writes == [], "it is known after a restart, too"
    drifted = copy.deepcopy(again.workloads("a")[1])
    drifted["spec"]["template"]["spec"]["containers"][0]["image"] = "evil/webui:1"
    again.caches.observe(again.cluster.store(drifted))
    await again.settle()
    assert again.images("a")[1] == NEW_CHAT.replace("ghcr.io", MIRROR), "drift is repaired"
    again.cluster.admit = lambda body: body
    again.settings(**OLD)
    await upgrade(again, *"abcd")
    await again.settle()
    assert again.condition("a", "StoredAsApplied")["status"] == "True"


async def test_who_undoes_a_webhooks_rewrite_is_named_and_a_new_one_is_not_charged() -> None:
    fleet = Fleet("a", **OLD)
    fleet.cluster.admit = _from_mirror
    await fleet.start()
    for _ in range(5):
        assert fleet.condition("a", "Synced")["reason"] == "Synced"
        await _drift(fleet)
    assert fleet.condition("a", "Synced")["reason"] == "ChangedByOthers"
    fleet.pass_time(minutes=5)
    await fleet.reconcile("a")
    for number in range(6):
        fleet.cluster.admit = partial(_with_image, image=f"webui:{number}")
        await _drift(fleet)
        assert fleet.condition("a", "Synced")["reason"] == "Synced", "each comes back otherwise"


async def _drift(fleet: Fleet) -> None:
    drifted = _with_image(fleet.workloads("a")[1], image="evil/webui:1")
    fleet.caches.observe(fleet.cluster.store(drifted))
    await fleet.settle()


def _with_image(body: Json, *, image: str) -> Json:
    admitted = copy.deepcopy(body)
    admitted["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return admitted


def _from_mirror(body: Json) -> Json:
    admitted = copy.deepcopy(body)
    for container in admitted["spec"]["template"]["spec"]["containers"]:
        container["image"] = container["image"].replace("ghcr.io", MIRROR)
    return admitted
