"""What is written of runs of the backup program, and what is left to them."""

from collections.abc import Iterable
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.planning.actions import Action, Apply, Delete, target_of
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.plan import Exceptions, plan
from aichat_workspace.domain.planning.secret_copies import desired_copies, with_record
from aichat_workspace.domain.render import tenant_namespace
from tests.unit.domain.backups import render_backups
from tests.unit.domain.samples import as_cached, desired, workspace

NAME = "team-a-aichat"
BACKUP = {"schedule": "@daily", "request": "now"}
RUN = Ref("Job", NAME, names.backup_run(NAME, "now"))
DONE = {"conditions": [{"type": "Complete", "status": "True"}]}
WITH_RUN = render_backups(workspace(backup=BACKUP), is_requested=True)
ON_REQUEST = render_backups(workspace(backup={"request": "now"}), is_requested=True)
TO_VOLUME = {"schedule": "@daily", "destination": "volume"}
KEEPS = Exceptions(keeps_runs=True)


def plan_for(
    manifests: Iterable[Manifest],
    present: Iterable[Manifest],
    changes: dict[Ref, dict[str, Any]] | None = None,
    exceptions: Exceptions = KEEPS,
) -> tuple[Action, ...]:
    """Plan for a tenant that has the present objects, with `changes` in some of them."""
    manifests, present = tuple(manifests), tuple(present)
    objects = as_cached(present)
    for reference, change in (changes or {}).items():
        metadata = {**objects[reference]["metadata"], **change.pop("metadata", {})}
        objects[reference] = {**objects[reference], **change, "metadata": metadata}
    body = tenant_namespace(workspace())
    recorded = with_record(body, desired_copies(present))
    stored = {**recorded, "metadata": {**recorded["metadata"], "uid": "ns"}}
    return plan(body, manifests, Observed(stored, objects), exceptions=exceptions)


def targets(actions: Iterable[Action], kind: type[Action]) -> set[Ref]:
    return {target_of(action) for action in actions if isinstance(action, kind)}


def copy_of(manifests: Iterable[Manifest]) -> Ref:
    (reference,) = (
        ref(manifest)
        for manifest in manifests
        if manifest["kind"] == "Secret" and "-backup-" in manifest["metadata"]["name"]
    )
    return reference


def test_backups_as_they_are_plan_to_nothing() -> None:
    assert plan_for(WITH_RUN, WITH_RUN) == ()


def test_the_keys_are_written_before_what_names_them() -> None:
    actions = plan_for(WITH_RUN, desired())
    order = [target_of(action) for action in actions if isinstance(action, Apply)]
    assert order.index(copy_of(WITH_RUN)) < order.index(Ref("CronJob", NAME, names.backup(NAME)))


def test_a_job_is_never_written_again() -> None:
    changed = [
        {**manifest, "spec": {**manifest["spec"], "backoffLimit": 9}}
        if ref(manifest) == RUN
        else manifest
        for manifest in WITH_RUN
    ]
    assert plan_for(changed, WITH_RUN) == ()


@pytest.mark.parametrize("status", [{}, DONE], ids=["runs", "has ended"])
def test_a_job_goes_on_until_it_goes_by_itself(status: dict[str, Any]) -> None:
    manifests = render_backups(workspace(backup={"schedule": "@daily"}))
    actions = plan_for(manifests, WITH_RUN, {RUN: {"status": status}})
    assert RUN not in targets(actions, Delete)


def test_a_job_is_deleted_when_the_workspace_asks_for_no_backups() -> None:
    actions = plan_for(desired(), WITH_RUN, exceptions=Exceptions())
    gone = targets(actions, Delete)
    assert gone >= {RUN, Ref("CronJob", NAME, names.backup(NAME)), copy_of(WITH_RUN)}
    assert Ref("NetworkPolicy", NAME, names.backup(NAME)) in gone


def test_a_cron_jobs_job_is_left_to_it() -> None:
    owners = {"ownerReferences": [{"controller": True, "uid": "cron"}]}
    actions = plan_for(desired(), WITH_RUN, {RUN: {"metadata": owners}}, exceptions=Exceptions())
    assert RUN not in targets(actions, Delete)


def test_the_keys_stay_as_long_as_a_job_needs_them() -> None:
    manifests = render_backups(workspace(backup={}))
    manifests = tuple(manifest for manifest in manifests if ref(manifest) != copy_of(ON_REQUEST))
    running = plan_for(manifests, ON_REQUEST)
    assert copy_of(ON_REQUEST) not in targets(running, Delete)
    ended = plan_for(manifests, ON_REQUEST, {RUN: {"status": DONE}})
    assert copy_of(ON_REQUEST) in targets(ended, Delete)


def test_keys_that_were_deleted_after_a_job_are_not_deleted_again() -> None:
    manifests = render_backups(workspace(backup={}))
    manifests = tuple(manifest for manifest in manifests if ref(manifest) != copy_of(ON_REQUEST))
    objects = as_cached(ON_REQUEST)
    objects[RUN] = {**objects[RUN], "status": DONE}
    body = tenant_namespace(workspace())
    recorded = with_record(body, desired_copies(manifests))
    stored = {**recorded, "metadata": {**recorded["metadata"], "uid": "ns"}}
    assert plan(body, manifests, Observed(stored, objects), exceptions=KEEPS) == ()


class TestAVolumeWithBackups:
    CLAIM = Ref("PersistentVolumeClaim", NAME, names.backups(NAME))

    def test_outlives_the_request_for_backups(self) -> None:
        actions = plan_for(
            desired(), render_backups(workspace(backup=TO_VOLUME)), exceptions=Exceptions()
        )
        assert self.CLAIM not in targets(actions, Delete)

    def test_keeps_its_room_in_the_quota(self) -> None:
        with_volume = render_backups(workspace(backup=TO_VOLUME))
        actions = plan_for(desired(), with_volume, exceptions=Exceptions())
        (quota,) = (
            action.manifest
            for action in actions
            if isinstance(action, Apply) and action.manifest["kind"] == "ResourceQuota"
        )
        assert quota["spec"]["hard"]["persistentvolumeclaims"] == "3"
        assert quota["spec"]["hard"]["pods"] == "2"
