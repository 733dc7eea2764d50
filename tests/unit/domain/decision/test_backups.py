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
from aichat_workspace.domain.kubernetes.kinds import JOB_KINDS
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.kubernetes.pods import pod_template
from aichat_workspace.domain.planning.actions import Apply, Delete, target_of
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.backups import BackupStanding, backup_standing
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from tests.unit.domain.backups import (
    BUCKET,
    IMAGE,
    PLATFORM,
    SECRETS,
    SNAPSHOT,
    SNAPSHOTS,
    platform,
    render_backups,
)
from tests.unit.domain.samples import NOW, as_cached, namespace, workspace
from tests.unit.domain.volume_snapshots import (
    CLASS,
    READY,
    SNAPSHOT_CLASSES,
    STORAGE_CLASSES,
    by_ref,
    checked,
    of_run,
    volume_snapshot,
)

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


BACKUP = "20261130T030000Z-00000001"
OTHER_BACKUP = "20261129T030000Z-00000001"
OTHER_KEYS = {
    "metadata": {"annotations": {names.SECRET_FOR_ANNOTATION: "*"}},
    "data": {"accessKeyID": "b3RoZXI=", "secretAccessKey": "b3RoZXI="},
}
ARCHIVE = {
    "name": "archive",
    "s3": {"endpoint": "https://203.0.113.9", "bucket": "old-chats", "secretName": "other-keys"},
}
TWO_PLACES = platform(destinations=[BUCKET, ARCHIVE])


class TestARestoreFromAnotherDestination:
    def decided(self, status: dict[str, Any] | None = None, **changes: Any) -> Provision:
        subject = workspace(
            backup={"schedule": "@daily"},
            restore={"backup": BACKUP, "destination": "archive"},
            status={
                "images": {"ollama": "ollama:1", "openWebUI": "open-webui:1"},
                **(status or {}),
            },
        )
        secrets = {**SECRETS, "other-keys": OTHER_KEYS}
        return decision(subject, **{"platform": TWO_PLACES, "secrets": secrets, **changes})

    def test_reads_there_while_backups_go_where_they_went(self) -> None:
        provision = self.decided()
        runs = {m["kind"]: pod_template(m) for m in provision.desired if m["kind"] in JOB_KINDS}
        stores = {kind: _variable(template, "BACKUP_STORE") for kind, template in runs.items()}
        assert stores == {
            "CronJob": {"value": f"s3://chats/{names.SYSTEM_NAMESPACE}/team-a-aichat"},
            "Job": {"value": f"s3://old-chats/{names.SYSTEM_NAMESPACE}/team-a-aichat"},
        }
        keys = {
            kind: _variable(template, "AWS_ACCESS_KEY_ID")["valueFrom"]["secretKeyRef"]["name"]
            for kind, template in runs.items()
        }
        data: dict[str, Any] = {m["metadata"]["name"]: m.get("data") for m in provision.desired}
        assert data[keys["Job"]]["AWS_ACCESS_KEY_ID"] == "b3RoZXI="
        assert data[keys["CronJob"]]["AWS_ACCESS_KEY_ID"] != "b3RoZXI="
        (policy,) = (
            m
            for m in provision.desired
            if m["metadata"]["name"] == "team-a-aichat-backup" and m["kind"] == "NetworkPolicy"
        )
        ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        assert ports == {9000, 443}

    def test_reads_there_where_the_one_that_waited_before_was_of_another(self) -> None:
        provision = self.decided(
            status={"restore": {"target": {"backup": OTHER_BACKUP}, "state": "Running"}}
        )
        (job,) = (m for m in provision.desired if m["kind"] == "Job")
        assert BACKUP in pod_template(job)["spec"]["containers"][0]["args"]
        store = {"value": f"s3://old-chats/{names.SYSTEM_NAMESPACE}/team-a-aichat"}
        assert _variable(pod_template(job), "BACKUP_STORE") == store

    def test_whose_keys_are_not_there_is_not_begun_and_backups_go_on(self) -> None:
        provision = self.decided(secrets=SECRETS)
        assert provision.backup_problem is None
        assert "CronJob" in kinds(provision)
        assert provision.restore is not None
        assert provision.restore.problem is not None
        assert "destinations[archive]" in provision.restore.problem.message
        assert not provision.restore.stops_chat

    def test_is_carried_out_where_no_backup_can_be_made(self) -> None:
        provision = self.decided(secrets={"other-keys": OTHER_KEYS, "sealing": SECRETS["sealing"]})
        assert provision.backup_problem is not None
        assert "CronJob" not in kinds(provision)
        assert provision.restore is not None
        assert provision.restore.problem is None
        assert "Job" in kinds(provision)

    @pytest.mark.parametrize("lacking", ["keys", "other-keys"])
    def test_ends_only_the_runs_whose_destination_can_not_be_had_any_more(
        self, lacking: str
    ) -> None:
        restore = self.decided().restore
        assert restore is not None
        assert restore.run is not None
        jobs = {
            reference: {
                "kind": "Job",
                "metadata": {"name": reference.name, "namespace": NAME, "uid": reference.name},
                "spec": {"template": {"spec": {"containers": []}}},
                "status": {"failed": 1},
            }
            for reference in (RUN, Ref("Job", NAME, restore.run.name))
        }
        secrets = {**SECRETS, "other-keys": OTHER_KEYS}
        del secrets[lacking]
        provision = self.decided(secrets=secrets, observed=Observed(namespace(), jobs))
        deleted = {
            target_of(action).name
            for action in provision.actions
            if isinstance(action, Delete) and target_of(action).kind == "Job"
        }
        assert deleted == {RUN.name if lacking == "keys" else restore.run.name}


def _variable(template: Manifest, name: str) -> dict[str, Any]:
    (container,) = template["spec"]["containers"]
    (entry,) = (entry for entry in container["env"] if entry["name"] == name)
    return {key: value for key, value in entry.items() if key != "name"}


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


NIGHTLY = {"schedule": "@daily"}


class TestSnapshots:
    RUN = checked("b-1")

    def decision(self, subject: Workspace, *objects: Manifest, **changes: Any) -> Provision:
        known = {
            "platform": SNAPSHOTS,
            "secrets": {},
            "storage_classes": STORAGE_CLASSES,
            "snapshot_classes": SNAPSHOT_CLASSES,
            "observed": Observed(namespace(), by_ref(*objects)),
        }
        return decision(subject, **(known | changes))

    def made(self, provision: Provision) -> list[str]:
        return [m["metadata"]["name"] for m in provision.desired if m["kind"] == "VolumeSnapshot"]

    def deleted(self, provision: Provision) -> list[str]:
        return [
            action.ref.name
            for action in provision.actions
            if isinstance(action, Delete) and action.ref.kind == "VolumeSnapshot"
        ]

    def test_need_no_secret(self) -> None:
        provision = self.decision(workspace(backup=NIGHTLY))
        assert (provision.backup_problem, provision.backup_destination) == (None, "snapshots")
        assert provision.has_snapshots
        assert "CronJob" in kinds(provision)
        assert not _copies(provision)

    @pytest.mark.parametrize("missing", ["snapshot_classes", "storage_classes"])
    def test_are_refused_by_name_where_nothing_makes_them(self, missing: str) -> None:
        provision = self.decision(workspace(backup=NIGHTLY), **{missing: ()})
        assert provision.backup_problem is not None
        assert provision.backup_problem.reason is Reason.BACKUP_SNAPSHOTS_UNSUPPORTED
        condition = {"type": "BackedUp", "status": "False", "reason": "BackupSnapshotsUnsupported"}
        assert backup_standing({"status": {"conditions": [condition]}}) is BackupStanding.BLOCKED
        assert provision.problems == ()
        assert "CronJob" not in kinds(provision)

    def test_the_driver_is_that_of_the_volume_that_the_chat_has(self) -> None:
        claim = {
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": names.openwebui(NAME), "uid": "c"},
            "spec": {
                "storageClassName": "older",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        provision = self.decision(workspace(backup=NIGHTLY), claim)
        assert provision.backup_problem is not None
        assert "StorageClass 'older'" in provision.backup_problem.message

    def test_follow_each_run_once(self) -> None:
        subject = workspace(backup=NIGHTLY)
        provision = self.decision(subject, self.RUN)
        name = names.volume_snapshot(NAME, "uid-b-1")
        assert self.made(provision) == [name]
        (action,) = (a for a in provision.actions if target_of(a).kind == "VolumeSnapshot")
        assert isinstance(action, Apply)
        assert action.manifest["spec"] == {
            "volumeSnapshotClassName": CLASS,
            "source": {"persistentVolumeClaimName": names.openwebui(NAME)},
        }
        again = self.decision(subject, self.RUN, of_run(self.RUN))
        assert self.made(again) == self.deleted(again) == []

    def test_are_pruned_by_a_newer_one_and_never_by_an_edit(self) -> None:
        old = volume_snapshot("00000001", "2026-11-21T00:00:00Z", **READY)
        new = volume_snapshot("00000002", "2026-11-22T00:00:00Z", keep=1, **READY)
        name = old["metadata"]["name"]
        assert self.deleted(self.decision(workspace(backup=NIGHTLY), old, new)) == [name]
        seventh = volume_snapshot("00000002", "2026-11-22T00:00:00Z", keep=7, **READY)
        fewer = workspace(backup={**NIGHTLY, "keep": 1})
        assert self.deleted(self.decision(fewer, old, seventh)) == []
        assert self.deleted(self.decision(workspace(), old, new)) == [], "spec.backup is gone"
        moved = self.decision(workspace(backup=NIGHTLY), old, new, platform=PLATFORM)
        assert self.deleted(moved) == [], "backups go elsewhere now"
        restoring = workspace(backup=NIGHTLY, restore={"backup": "20261121T000000Z-00000001"})
        assert self.deleted(self.decision(restoring, old, new)) == [], "one may be restored now"

    def test_are_copied_from_a_claim_that_is_there_until_the_restore_ends(self) -> None:
        ready = volume_snapshot("0000000a", **READY)
        restore = {"backup": "20261123T113005Z-0000000a"}
        provision = self.decision(workspace(restore=restore), ready)
        assert provision.restore is not None
        assert provision.restore.run is not None
        run = provision.restore.run.name
        claim = self.claims(provision)[run]
        assert claim["spec"]["dataSource"]["name"] == ready["metadata"]["name"]
        written = [(target_of(action).kind, target_of(action).name) for action in provision.actions]
        assert written.index(("PersistentVolumeClaim", run)) < written.index(("Job", run))
        assert provision.restore.record is not None
        record = provision.restore.record.model_dump(mode="json", by_alias=True)
        status = {"restore": record}
        going_on = self.decision(workspace(restore=restore, status=status), ready)
        assert run in self.claims(going_on)
        over = {"restore": {**record, "state": "Done"}}
        observed_claim = {**claim, "metadata": {**claim["metadata"], "uid": "c"}}
        done = self.decision(workspace(restore=restore, status=over), ready, observed_claim)
        assert run not in self.claims(done)
        assert Ref("PersistentVolumeClaim", NAME, run) in [target_of(a) for a in done.actions]

    def claims(self, provision: Provision) -> dict[str, Manifest]:
        return {
            m["metadata"]["name"]: m
            for m in provision.desired
            if m["kind"] == "PersistentVolumeClaim"
        }

    @pytest.mark.parametrize(
        ("restore", "reason", "words"),
        [
            (
                {"backup": "20261123T113005Z-0000000b"},
                Reason.BACKUP_NOT_FOUND,
                "the newest is 20261123T113005Z-0000000a",
            ),
            (
                {"backup": "20261123T113005Z-0000000a", "source": "team-a-other"},
                Reason.BACKUP_OUT_OF_REACH,
                "nothing else reads the backups of 'team-a-other'",
            ),
        ],
        ids=["one that is not there", "another workspace's"],
    )
    def test_are_not_restored_where_there_are_none(
        self, restore: dict[str, str], reason: Reason, words: str
    ) -> None:
        subject = workspace(restore=restore, status={"images": {"ollama": "a", "openWebUI": "b"}})
        provision = self.decision(subject, volume_snapshot("0000000a", **READY))
        assert provision.restore is not None
        assert provision.restore.problem is not None
        assert provision.restore.problem.reason is reason
        assert words in provision.restore.problem.message
        assert not provision.restore.stops_chat

    def test_are_restored_where_the_namespace_was_another_resources(self) -> None:
        subject = workspace(restore={"backup": "20261123T113005Z-0000000a", "source": NAME})
        provision = self.decision(subject, volume_snapshot("0000000a", **READY))
        assert provision.restore is not None
        assert provision.restore.problem is None

    def test_are_restored_where_backups_go_to_a_bucket_by_now(self) -> None:
        both = platform(destinations=[BUCKET, SNAPSHOT])
        restore = {"backup": "20261123T113005Z-0000000a", "destination": "snapshots"}
        subject = workspace(backup=NIGHTLY, restore=restore)
        ready = volume_snapshot("0000000a", **READY)
        provision = self.decision(subject, ready, platform=both, secrets=SECRETS)
        assert provision.backup_destination == "bucket"
        assert not provision.has_snapshots
        assert provision.restore is not None
        assert provision.restore.run is not None
        run = provision.restore.run.name
        assert (
            self.claims(provision)[run]["spec"]["dataSource"]["name"] == (ready["metadata"]["name"])
        )
        (job,) = (m for m in provision.desired if m["kind"] == "Job")
        (container,) = pod_template(job)["spec"]["containers"]
        assert container["args"][:2] == ["restore", restore["backup"]]
        assert "--folder" in container["args"]
        assert "BACKUP_STORE" not in {entry["name"] for entry in container["env"]}
        gone = self.decision(subject, platform=both, secrets=SECRETS)
        assert gone.restore is not None
        assert gone.restore.problem is not None
        assert gone.restore.problem.reason is Reason.BACKUP_NOT_FOUND
        assert "CronJob" in kinds(gone), "backups go on"

    def test_of_what_a_restore_writes_none_is_made_meanwhile(self) -> None:
        ready = volume_snapshot("0000000a", "2026-11-23T11:00:00Z", **READY)
        restore = {"backup": "20261123T110000Z-0000000a"}
        provision = self.decision(workspace(backup=NIGHTLY, restore=restore), self.RUN, ready)
        assert provision.restore is not None
        assert provision.restore.stops_chat
        assert self.made(provision) == []


def test_another_workspaces_backup_on_a_volume_is_out_of_reach() -> None:
    subject = workspace(
        backup={"destination": "volume"},
        restore={"backup": "20261123T113005Z-0000000a", "source": "team-a-other"},
    )
    restore = decision(subject).restore
    assert restore is not None
    assert restore.problem is not None
    assert restore.problem.reason is Reason.BACKUP_OUT_OF_REACH
