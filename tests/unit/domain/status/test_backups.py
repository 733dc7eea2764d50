"""What the status says of backups, by the runs that are seen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.backups import (
    backed_up,
    backup_standing,
    longest_pause,
    next_record,
    overdue_at,
)
from aichat_workspace.domain.v1alpha1.backup import BackupRecord, BackupState
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionStatus
from tests.unit.domain.backup_runs import ENDED, WORKSPACE, ended, job, observed, pod
from tests.unit.domain.samples import NOW, workspace
from tests.unit.domain.volume_snapshots import MADE as SNAPSHOT_MADE
from tests.unit.domain.volume_snapshots import READY, by_ref, checked, of_run, volume_snapshot

NEW, OLD = "20261123T113000Z-00000002", "20261122T113000Z-00000001"
RESULT = {
    "name": NEW,
    "sizeBytes": 20,
    "openWebUI": "open-webui:2",
    "pruned": 3,
    "backups": [{"name": NEW, "sizeBytes": 20}, {"name": OLD, "sizeBytes": 10}],
}
MADE = datetime.fromisoformat(ENDED)


def run(name: str, end: str = "", reason: str = "", **times: Any) -> Manifest:
    manifest = job(name, end, reason, **times)
    marks = {"annotations": {names.DESTINATION_ANNOTATION: "nightly"}}
    return {**manifest, "metadata": {**manifest["metadata"], **marks}}


DONE = run("b-1", "Complete")


def asking(record: BackupRecord | None = None, **backup: Any) -> Workspace:
    """The workspace that asks for a backup each night."""
    recorded = record.model_dump(mode="json", by_alias=True) if record else None
    return workspace(backup={"schedule": "30 2 * * *", **backup}, status={"backup": recorded})


def by_schedule(since: datetime = MADE) -> dict[Ref, Manifest]:
    """The CronJob since then."""
    name = names.backup(WORKSPACE)
    metadata = {"name": name, "creationTimestamp": since.isoformat()}
    return {Ref("CronJob", WORKSPACE, name): {"kind": "CronJob", "metadata": metadata}}


def after(*seen: Manifest, recorded: BackupRecord | None = None, to: str = "nightly") -> Any:
    return next_record(asking(recorded), observed(*seen), to, NOW)


def test_a_run_that_ended_well_says_which_backups_are_there() -> None:
    record = after(DONE, ended(DONE, 0, RESULT))
    assert (record.state, record.run) == (BackupState.DONE, "b-1")
    assert record.succeeded_at == record.finished_at == MADE
    assert [(entry.name, entry.size_bytes) for entry in record.items] == [(NEW, 20), (OLD, 10)]
    assert [entry.open_webui for entry in record.items] == ["open-webui:2", ""]


def test_a_backup_counts_and_its_warning_is_shown() -> None:
    warning = "old backups stay: AccessDenied"
    record = after(DONE, ended(DONE, 0, {**RESULT, "backups": [], "warning": warning}))
    assert (record.state, record.reason, record.succeeded_at) == (BackupState.DONE, "", MADE)
    finding = backed_up(asking(record), record, observed(), None, MADE)
    assert finding is not None
    assert finding.status is ConditionStatus.TRUE
    assert warning in finding.message
    assert after(DONE, recorded=record).message == warning, "its pod is gone"


def test_of_earlier_backups_the_version_stays_known() -> None:
    first = after(DONE, ended(DONE, 0, {**RESULT, "backups": RESULT["backups"][:1]}))  # type: ignore[index]
    newest = "20261124T113000Z-00000003"
    later = run("b-2", "Complete", created="2026-11-24T11:00:00Z", ended="2026-11-24T11:30:00Z")
    result = {**RESULT, "name": newest, "openWebUI": "open-webui:3"}
    result["backups"] = [{"name": newest, "sizeBytes": 30}, {"name": NEW, "sizeBytes": 20}]
    record = after(later, ended(later, 0, result), recorded=first)
    assert [entry.open_webui for entry in record.items] == ["open-webui:3", "open-webui:2"]


def test_the_list_stays_when_pods_and_jobs_are_gone() -> None:
    record = after(DONE, ended(DONE, 0, RESULT))
    assert after(DONE, recorded=record) == record
    assert after(recorded=record) == record


def test_the_same_runs_give_the_same_record() -> None:
    """Else each reconcile would write a status."""
    seen = (DONE, ended(DONE, 0, RESULT))
    record = after(*seen)
    assert after(*seen, recorded=record) == record


@pytest.mark.parametrize(
    ("end", "pods", "reason", "words"),
    [
        (
            run("b-1", "Failed", "BackoffLimitExceeded"),
            lambda run: [ended(run, 1, {"error": "store-failed", "message": "403 Forbidden"})],
            Reason.BACKUP_STORE_FAILED,
            "403 Forbidden",
        ),
        (
            run("b-1", "Failed", "BackoffLimitExceeded"),
            lambda run: [ended(run, 1, {"error": "of a newer version", "message": "words"})],
            Reason.BACKUP_RUN_FAILED,
            "words",
        ),
        (
            run("b-1", "Failed", "BackoffLimitExceeded"),
            lambda run: [ended(run, 137)],
            Reason.BACKUP_RUN_KILLED,
            "exit code 137",
        ),
        (
            run("b-1", "Failed", "BackoffLimitExceeded"),
            lambda _: [],
            Reason.BACKUP_RUN_KILLED,
            "BackoffLimitExceeded",
        ),
        (
            run("b-1", "Failed", "DeadlineExceeded"),
            lambda _: [],
            Reason.BACKUP_RUN_TIMED_OUT,
            "took too long",
        ),
    ],
)
def test_a_run_that_failed_says_why(end: Manifest, pods: Any, reason: Reason, words: str) -> None:
    record = after(end, *pods(end))
    assert (record.state, record.reason) == (BackupState.FAILED, reason)
    assert words in record.message
    finding = backed_up(asking(), record, observed(), None, NOW)
    assert finding is not None
    assert (finding.status, finding.reason) == (ConditionStatus.FALSE, reason)
    assert not finding.problem, "the chat runs on without backups"


def test_a_failure_keeps_the_last_backup_and_the_next_success_ends_it() -> None:
    record = after(DONE, ended(DONE, 0, RESULT))
    failed = run("b-2", "Failed", created="2026-11-24T11:00:00Z", ended="2026-11-24T11:30:00Z")
    after_failure = after(DONE, failed, recorded=record)
    assert (after_failure.succeeded_at, after_failure.items) == (MADE, record.items)
    third = run("b-3", "Complete", created="2026-11-25T11:00:00Z", ended="2026-11-25T11:30:00Z")
    healed = after(failed, third, recorded=after_failure)
    assert (healed.state, healed.reason, healed.message) == (BackupState.DONE, "", "")


def test_a_run_that_goes_on_changes_nothing_of_the_last_backup() -> None:
    record = after(DONE, ended(DONE, 0, RESULT))
    running = run("b-2", created="2026-11-24T11:00:00Z")
    later = after(DONE, running, recorded=record)
    assert (later.state, later.run, later.items) == (BackupState.RUNNING, "b-2", record.items)
    finding = backed_up(asking(), later, observed(), None, NOW)
    assert finding is not None
    assert (finding.status, finding.reason) == (ConditionStatus.TRUE, Reason.BACKED_UP)
    assert NEW in finding.message


def test_a_restores_job_is_no_backup() -> None:
    record = after(job(f"{WORKSPACE}-restore-0a1b2c3d", "Complete"))
    assert (record.state, record.run) == (None, "")


def test_another_destination_has_no_backups_of_this_one() -> None:
    record = after(DONE, ended(DONE, 0, RESULT))
    moved = after(DONE, ended(DONE, 0, RESULT), recorded=record, to="offsite")
    assert (moved.destination, moved.items) == ("offsite", ())
    assert after(recorded=record, to="") == record, "settings that are not understood"


def test_the_request_whose_run_has_begun_is_recorded() -> None:
    requested = asking(request="now", schedule="")
    assert next_record(requested, observed(), "nightly", NOW) is None
    waiting = run(names.backup_run(WORKSPACE, "now"))
    record = next_record(requested, observed(waiting), "nightly", NOW)
    assert record is not None
    assert record.request == "", "it is made anew if the chat is suspended before it begins"
    record = next_record(requested, observed(waiting, pod(waiting)), "nightly", NOW)
    assert record is not None
    assert record.request == "now"


@pytest.mark.parametrize(
    "backups", ["7", None, [{"name": "x"}], [7], [{"name": "x", "sizeBytes": -1}]]
)
def test_a_result_of_another_version_is_no_list(backups: Any) -> None:
    record = after(DONE, ended(DONE, 0, {"name": NEW, "backups": backups}))
    assert (record.state, record.items) == (BackupState.DONE, ())


def test_without_spec_backup_nothing_is_said() -> None:
    assert backed_up(workspace(), None, observed(), None, NOW) is None


def test_what_keeps_backups_from_being_made_is_said() -> None:
    problem = Problem(Reason.BACKUP_STORE_FAILED, "there is no destination")
    finding = backed_up(asking(), None, observed(), problem, NOW)
    assert finding is not None
    assert (finding.status, finding.message) == (ConditionStatus.FALSE, problem.message)


@pytest.mark.parametrize(
    ("schedule", "pause"),
    [
        ("*/5 * * * *", timedelta(hours=1)),
        ("@hourly", timedelta(hours=1)),
        ("30 2 * * *", timedelta(days=1)),
        ("@daily", timedelta(days=1)),
        ("30 2 * * 1", timedelta(days=7)),
        ("30 2 1 * *", timedelta(days=31)),
        ("30 2 28,31 * *", timedelta(days=31)),
        ("30 2 */31 * *", timedelta(days=31)),
        ("30 2 31 * *", timedelta(days=62)),
        ("30 2 29-31 * *", timedelta(days=62)),
        ("30 2 29 2 *", timedelta(days=4 * 365 + 1)),
        ("30 2 29 FEB *", timedelta(days=4 * 365 + 1)),
        ("30 2 1 6 *", timedelta(days=366)),
        ("@yearly", timedelta(days=366)),
    ],
)
def test_a_schedules_fields_bound_its_longest_pause(schedule: str, pause: timedelta) -> None:
    assert longest_pause(schedule, "Etc/UTC", NOW) == pause


SPRING, AUTUMN = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
"""The day before clocks are put forward at 2 in Paris, and back at 3."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("schedule", "time_zone", "since", "pause"),
    [
        ("30 2 * * *", "Europe/Paris", NOW, DAY),
        ("30 2 * * *", "Europe/Paris", SPRING, 2 * DAY),
        ("30 2 * * *", "Europe/Paris", SPRING - 2 * DAY, DAY),
        ("30 2 * * *", "Europe/Paris", AUTUMN, DAY + HOUR),
        ("30 4 * * *", "Europe/Paris", SPRING, DAY),
        ("30 4 * * *", "Europe/Paris", AUTUMN, DAY + HOUR),
        ("30 2,14 * * *", "Europe/Paris", SPRING, DAY),
        ("30 */12 * * *", "Europe/Paris", SPRING, DAY),
        ("@hourly", "Europe/Paris", SPRING, HOUR),
        ("30 2 * * 0", "Europe/Paris", SPRING, 14 * DAY),
        ("30 2 * * 0", "Europe/Paris", SPRING - 7 * DAY, 7 * DAY),
        ("@daily", "America/Santiago", datetime(2026, 9, 5, 12, tzinfo=UTC), 2 * DAY),
        ("@daily", "Europe/Paris", SPRING, DAY),
        ("15 2 * * *", "Australia/Lord_Howe", datetime(2026, 10, 3, 1, tzinfo=UTC), 2 * DAY),
        ("30 2 * * *", "Asia/Tokyo", SPRING, DAY),
        ("30 2 * * *", "No/Such", NOW, 2 * DAY),
    ],
)
def test_clocks_that_change_cost_their_hour_and_a_run_in_the_hour_that_is_missing(
    schedule: str, time_zone: str, since: datetime, pause: timedelta
) -> None:
    assert longest_pause(schedule, time_zone, since) == pause


def test_a_year_with_both_changes_costs_the_one_hour_that_is_put_back() -> None:
    assert longest_pause("30 4 1 6 *", "Europe/Paris", SPRING) == 366 * DAY + HOUR


def test_a_schedule_that_rests_for_a_restore_owes_nothing_of_that_time() -> None:
    """A clone waits for its data, and its CronJob is suspended until its chat runs."""
    suspended = {"spec": {"suspend": True}}
    resting = {reference: {**obj, **suspended} for reference, obj in by_schedule().items()}
    seen, month = Observed(objects=resting), timedelta(days=31)
    record = next_record(asking(), seen, "nightly", MADE)
    assert overdue_at(asking(), record, seen) is None
    finding = backed_up(asking(record), record, seen, None, MADE + month)
    assert finding is not None
    assert finding.reason == Reason.BACKUP_WAITING
    runs = Observed(objects=by_schedule())
    record = next_record(asking(record), runs, "nightly", MADE + month)
    assert overdue_at(asking(record), record, runs) == MADE + month + timedelta(hours=30)


def test_a_run_that_is_gone_before_its_end_runs_no_more() -> None:
    """It waited for the chat, which is suspended now."""
    before = after(run("nightly"))
    assert before is not None
    assert before.state is BackupState.RUNNING
    record = after(recorded=before)
    assert record is not None
    assert (record.state, record.run, record.reason) == (None, "", "")
    done = after(DONE, ended(DONE, 0, RESULT), recorded=before)
    assert done is not None
    assert done.state is BackupState.DONE


def test_an_injected_container_that_ends_last_hides_no_result() -> None:
    requested, failed = asking(), run("nightly", "Failed", "BackoffLimitExceeded")
    own = ended(failed, 1, {"error": "store-failed", "message": "the store is away"})
    injected = {"exitCode": 0, "finishedAt": "2026-12-24T00:00:00Z", "message": "{}"}
    own["status"]["containerStatuses"].append({"name": "proxy", "state": {"terminated": injected}})
    record = next_record(requested, observed(failed, own), "nightly", NOW)
    assert record is not None
    assert (record.reason, record.message) == ("BackupStoreFailed", "the store is away")


def test_no_backup_for_longer_than_the_schedule_says_is_overdue_and_stays_so() -> None:
    requested, seen = asking(), Observed(objects=by_schedule())
    due = overdue_at(requested, None, seen)
    assert due == MADE + timedelta(hours=30)
    before = backed_up(requested, None, seen, None, due - timedelta(seconds=1))
    assert before is not None
    assert before.reason == Reason.BACKUP_WAITING
    for moment in (due, due + timedelta(days=9)):
        finding = backed_up(requested, None, seen, None, moment)
        assert finding is not None
        assert (finding.status, finding.reason) == (ConditionStatus.FALSE, Reason.BACKUP_OVERDUE)


def test_a_backup_puts_the_moment_off() -> None:
    record = BackupRecord(state=BackupState.DONE, succeeded_at=NOW)
    assert overdue_at(asking(), record, Observed(objects=by_schedule())) == NOW + timedelta(
        hours=30
    )


def after_edit(record: BackupRecord | None, moment: datetime, **spec: Any) -> BackupRecord | None:
    """The record once the operator has seen the spec at that moment."""
    recorded = record.model_dump(mode="json", by_alias=True) if record else None
    subject = workspace(**spec, status={"backup": recorded})
    return next_record(subject, observed(), "nightly", moment)


def test_a_suspended_workspace_owes_no_backup_and_one_that_goes_on_owes_the_next() -> None:
    seen, month = Observed(objects=by_schedule()), timedelta(days=31)
    backup = {"schedule": "30 2 * * *"}
    record = after_edit(None, MADE, backup=backup)
    record = after_edit(record, MADE + timedelta(hours=1), backup=backup, suspended=True)
    resting = workspace(backup=backup, suspended=True)
    assert overdue_at(resting, record, seen) is None
    finding = backed_up(resting, record, seen, None, NOW + month)
    assert finding is not None
    assert finding.reason == Reason.BACKUP_WAITING
    record = after_edit(record, NOW + month, backup=backup)
    assert overdue_at(asking(), record, seen) == NOW + month + timedelta(hours=30)
    assert after_edit(record, NOW + 2 * month, backup=backup) == record, "it runs on as it did"


@pytest.mark.parametrize("edit", [{"schedule": "30 2 * * *"}, {"timeZone": "Asia/Tokyo"}])
def test_a_schedule_that_changes_owes_nothing_of_the_time_before(edit: dict[str, str]) -> None:
    monthly = {"schedule": "30 2 1 * *"}
    record = after_edit(None, MADE, backup=monthly)
    changed = {**monthly, **edit}
    record = after_edit(record, NOW + timedelta(days=20), backup=changed)
    due = overdue_at(workspace(backup=changed), record, Observed(objects=by_schedule()))
    pause = longest_pause(changed["schedule"], "Asia/Tokyo", NOW)
    assert due == NOW + timedelta(days=20, hours=6) + pause


def test_without_a_schedule_nothing_is_overdue() -> None:
    seen = Observed(objects=by_schedule())
    assert overdue_at(asking(schedule=""), None, seen) is None
    assert overdue_at(asking(), None, observed()) is None, "there is no CronJob yet"


@pytest.mark.parametrize(
    ("status", "reason", "standing"),
    [
        ("True", "BackedUp", "made"),
        ("Unknown", "BackupWaiting", "waiting"),
        ("False", "BackupStoreFailed", "failed"),
        ("False", "BackupOverdue", "overdue"),
        ("False", "BackupDestinationNotFound", "blocked"),
        ("False", "BackupDestinationNotAllowed", "blocked"),
        ("False", "BackupSecretNotFound", "blocked"),
        ("False", "BackupImageUnknown", "blocked"),
    ],
)
def test_a_resource_counts_by_its_condition(status: str, reason: str, standing: str) -> None:
    condition = {"type": "BackedUp", "status": status, "reason": reason}
    assert backup_standing({"status": {"conditions": [condition]}}) == standing
    assert backup_standing({"status": {"conditions": []}}) is None
    assert backup_standing({}) is None


def test_a_failed_run_whose_pods_end_is_not_seen_yet_is_not_told_of() -> None:
    run_of_today = run("b-1", "Failed", "BackoffLimitExceeded")
    assert after(run_of_today, pod(run_of_today, running={})).state is BackupState.RUNNING


def test_a_run_whose_pod_never_ran_says_what_it_waited_for() -> None:
    """At its deadline a Job deletes its pods."""
    waiting = {"reason": "ErrImagePull", "message": "no such host"}
    running = after(run("b-1"), pod(run("b-1"), waiting=waiting))
    assert "ErrImagePull: no such host" in running.message
    late = run("b-1", "Failed", "DeadlineExceeded")
    failed = after(late, recorded=running)
    assert (failed.reason, failed.message) == (Reason.BACKUP_RUN_NOT_STARTED, running.message)
    assert after(late, recorded=failed) == failed


class TestSnapshots:
    """A run only checks the data; the backup is the snapshot that follows."""

    RUN = checked("b-1")

    def after(self, *snapshots: Manifest, recorded: BackupRecord | None = None) -> BackupRecord:
        seen = observed(self.RUN, objects=by_ref(*snapshots))
        subject = asking(recorded)
        record = next_record(subject, seen, "snapshots", NOW, has_snapshots=True)
        assert record is not None
        again = next_record(asking(record), seen, "snapshots", NOW, has_snapshots=True)
        assert again == record, "else each reconcile would write a status"
        return record

    def finding(self, record: BackupRecord) -> tuple[ConditionStatus, str, str]:
        finding = backed_up(asking(record), record, observed(), None, MADE)
        assert finding is not None
        return finding.status, str(finding.reason), finding.message

    def test_before_it_is_ready_no_backup_is_made(self) -> None:
        record = self.after()
        assert (record.state, record.finished_at, record.succeeded_at) == (
            BackupState.RUNNING,
            None,
            None,
        )
        assert "still to be made" in record.message
        silent = self.after(of_run(self.RUN))
        assert "waits for the cluster's snapshot controller" in silent.message
        cut = self.after(of_run(self.RUN, creationTime=ENDED, readyToUse=False))
        assert "is not ready to use yet" in cut.message
        assert cut.items == ()
        assert self.finding(cut)[:2] == (ConditionStatus.UNKNOWN, "BackupWaiting")

    def test_one_that_is_ready_is_a_backup(self) -> None:
        record = self.after(of_run(self.RUN, **READY))
        token = of_run(self.RUN)["metadata"]["name"][-8:]
        assert record.state is BackupState.DONE
        assert record.succeeded_at == datetime.fromisoformat(SNAPSHOT_MADE)
        assert [(entry.name, entry.size_bytes) for entry in record.items] == [
            (f"20261123T113005Z-{token}", 2 * 1024**3)
        ]
        assert self.finding(record)[0] is ConditionStatus.TRUE

    def test_the_drivers_words_are_told_with_what_to_do(self) -> None:
        failing = of_run(self.RUN, error={"message": "the limit of snapshots is reached"})
        record = self.after(failing)
        assert record.state is BackupState.FAILED
        status, reason, message = self.finding(record)
        assert (status, reason) == (ConditionStatus.FALSE, "BackupSnapshotFailed")
        assert "the limit of snapshots is reached" in message
        assert "once the VolumeSnapshot is deleted, it is made anew" in message
        tried_again = self.after(of_run(self.RUN, **READY), recorded=record)
        assert (tried_again.state, tried_again.reason) == (BackupState.DONE, "")

    def test_one_that_is_deleted_is_listed_no_more_and_its_run_has_ended(self) -> None:
        record = self.after(of_run(self.RUN, **READY))
        afterwards = self.after(recorded=record)
        assert (afterwards.state, afterwards.items) == (BackupState.DONE, ())
        assert afterwards.succeeded_at == record.succeeded_at

    def test_those_of_a_namespace_that_was_retained_are_listed(self) -> None:
        seen = observed(objects=by_ref(volume_snapshot("0000000a", **READY)))
        record = next_record(workspace(), seen, "snapshots", NOW, has_snapshots=True)
        assert record is not None
        assert [entry.name for entry in record.items] == ["20261123T113005Z-0000000a"]
        assert next_record(workspace(), observed(), "", NOW, has_snapshots=True) is None

    def test_another_destinations_list_is_not_of_snapshots(self) -> None:
        record = self.after(of_run(self.RUN, **READY))
        seen = observed(objects=by_ref(of_run(self.RUN, **READY)))
        moved = next_record(asking(record), seen, "bucket", NOW)
        assert moved is not None
        assert (moved.destination, moved.items) == ("bucket", ())
