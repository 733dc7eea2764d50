"""Whether runs of the backup program are made, and what is reported where they can't be."""

from dataclasses import replace
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.backups import NO_BACKUPS, decide_backups
from aichat_workspace.domain.decision.decide import decide
from aichat_workspace.domain.decision.decisions import Finalize, Provision
from aichat_workspace.domain.decision.finalization import stops
from aichat_workspace.domain.decision.snapshot import NewSecrets, Snapshot
from aichat_workspace.domain.decision.steps import ClaimNamespace, ConfirmDataUnused
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.planning.actions import Apply, Delete, target_of
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.backups import BackupStanding, backup_standing
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from tests.unit.domain.backups import IMAGE, PLATFORM, SECRETS, render_backups
from tests.unit.domain.samples import NOW, as_cached, namespace, workspace

NAME = "team-a-aichat"
RUN = Ref("Job", NAME, names.backup_run(NAME, "now"))


def snapshot(subject: Workspace, **changes: Any) -> Snapshot:
    before = Snapshot(
        claimants=(subject,),
        platform=PLATFORM,
        new_secrets=NewSecrets("key", "password"),
        observed=Observed(namespace()),
        secrets=SECRETS,
        backup_image=IMAGE,
    )
    return replace(before, **changes)


def decision(subject: Workspace, **changes: Any) -> Provision:
    (provision,) = decide(snapshot(subject, **changes), NOW)
    assert isinstance(provision, Provision)
    return provision


def kinds(provision: Provision) -> set[str]:
    return {manifest["kind"] for manifest in provision.desired}


def test_nothing_is_looked_up_for_a_workspace_without_backups() -> None:
    assert decide_backups(workspace(), snapshot(workspace(), platform=PlatformSpec())) is NO_BACKUPS


def test_a_schedule_is_a_cron_job_for_the_destination() -> None:
    provision = decision(workspace(backup={"schedule": "@daily"}))
    assert provision.backup_destination == "bucket"
    assert provision.backup_problem is None
    assert "CronJob" in kinds(provision)
    assert "Job" not in kinds(provision)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"platform": PlatformSpec()}, Reason.BACKUP_DESTINATION_NOT_FOUND),
        ({"secrets": {}}, Reason.BACKUP_SECRET_NOT_FOUND),
        ({"backup_image": ""}, Reason.BACKUP_IMAGE_UNKNOWN),
    ],
    ids=["no destination", "no Secret", "no image"],
)
def test_what_is_missing_ends_backups_and_nothing_else(
    changes: dict[str, Any], reason: Reason
) -> None:
    provision = decision(workspace(backup={"schedule": "@daily"}), **changes)
    assert provision.backup_problem is not None
    assert provision.backup_problem.reason is reason
    condition = {"type": "BackedUp", "status": "False", "reason": str(reason)}
    assert backup_standing({"status": {"conditions": [condition]}}) is BackupStanding.BLOCKED
    assert provision.problems == ()
    assert "CronJob" not in kinds(provision)
    assert "Deployment" in kinds(provision)


def test_a_setting_that_is_not_understood_is_no_problem_of_the_workspace() -> None:
    subject = workspace(backup={"schedule": "@daily"})
    unknown = {"backup": "spec.backup: wrong"}
    of_backups = decide_backups(
        subject, snapshot(subject, platform=PlatformSpec(), unknown_settings=unknown)
    )
    assert of_backups == NO_BACKUPS


class TestARequest:
    def requested(self, status: dict[str, Any] | None = None, **changes: Any) -> bool:
        subject = workspace(backup={"request": "now"}, status={"backup": status} if status else {})
        of_backups = decide_backups(subject, snapshot(subject, **changes))
        assert of_backups.backups is not None
        assert bool(of_backups.secret) is of_backups.backups.is_requested
        return of_backups.backups.is_requested

    def test_is_a_run_until_it_is_known_to_have_begun(self) -> None:
        assert self.requested()
        assert self.requested({"state": "Done", "request": "before"})
        assert not self.requested({"state": "Running", "request": "now"})

    def test_is_no_second_run_while_its_job_is_there(self) -> None:
        done = {"conditions": [{"type": "Failed", "status": "True"}]}
        job = {"kind": "Job", "metadata": {"name": RUN.name}, "status": done}
        assert not self.requested(observed=Observed(namespace(), {RUN: job}))
        running = {**job, "status": {}}
        assert self.requested(observed=Observed(namespace(), {RUN: running}))

    def test_is_made_by_a_job(self) -> None:
        provision = decision(workspace(backup={"request": "now"}))
        assert "Job" in kinds(provision)
        assert "CronJob" not in kinds(provision)


def test_the_keys_are_in_the_tenant_only_while_something_uses_them() -> None:
    assert not _copies(decision(workspace(backup={})))
    assert _copies(decision(workspace(backup={"schedule": "@daily"})))


def test_a_namespace_that_outlives_its_resource_is_not_backed_up_any_more() -> None:
    objects = as_cached(render_backups(workspace(backup={"schedule": "@daily"})))
    deleted = {
        target_of(step)
        for step in stops(Observed(namespace(), objects))
        if isinstance(step, Delete)
    }
    assert Ref("CronJob", NAME, names.backup(NAME)) in deleted


def test_no_key_of_a_store_outlives_the_resource() -> None:
    rendered = render_backups(workspace(backup={"schedule": "@daily", "request": "now"}))
    objects = as_cached(render_backups(workspace(backup={"request": "now"}), is_requested=True))
    (copy,) = (m["metadata"]["name"] for m in rendered if "-backup-" in _secret_name(m))
    job = next(reference for reference in objects if reference.kind == "Job")
    recorded = namespace()
    recorded["metadata"]["annotations"][names.SECRETS_ANNOTATION] = copy
    for seen in (Observed(namespace(), objects), Observed(recorded)):
        deleted = [target_of(step) for step in stops(seen) if isinstance(step, Delete)]
        assert Ref("Secret", NAME, copy) in deleted
        if seen.objects:
            assert deleted.index(Ref("Secret", NAME, copy)) < deleted.index(job), "it names them"
    begun = {**objects[job], "status": {"failed": 1}}
    going = stops(Observed(namespace(), {**objects, job: begun}))
    assert job not in [target_of(step) for step in going if isinstance(step, Delete)]
    subject = workspace(
        deletionPolicy="Retain",
        metadata={
            "deletionTimestamp": "2026-11-23T11:00:00Z",
            "finalizers": [names.FINALIZER],
        },
    )
    (ending,) = decide(snapshot(subject, observed=Observed(recorded)), NOW)
    assert isinstance(ending, Finalize)
    (claim,) = (step for step in ending.steps if isinstance(step, ClaimNamespace))
    assert copy not in claim.manifest["metadata"]["annotations"].get(names.SECRETS_ANNOTATION, "")


def _secret_name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"]) if manifest["kind"] == "Secret" else ""


def _copies(provision: Provision) -> list[str]:
    copies = (m["metadata"]["name"] for m in provision.desired if m["kind"] == "Secret")
    return [name for name in copies if "-backup-" in name]


def test_a_restore_that_is_given_up_is_recovered_where_no_backup_can_be_made() -> None:
    target = {"backup": "20261130T030000Z-00000001"}
    record = {"target": target, "state": "Running", "run": "x-restore-y", "started": True}
    provision = decision(workspace(status={"restore": record}), platform=PlatformSpec(), secrets={})
    assert provision.restore is not None
    assert provision.restore.problem is None
    (job,) = (action for action in provision.actions if target_of(action).kind == "Job")
    assert isinstance(job, Apply)
    assert not job.waits, "another write that is refused does not keep the chat stopped"
    assert ConfirmDataUnused(NAME) in provision.steps
