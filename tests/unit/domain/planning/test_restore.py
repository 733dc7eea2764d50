"""A restore, step by step: what is written, whether the chat runs, and what is recorded."""

from dataclasses import dataclass
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.planning.restore import outdated_runs, plan_restore
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.restores import stopped
from aichat_workspace.domain.v1alpha1.backup import BackupState, Restore, RestoreRecord
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType
from tests.unit.domain.backup_runs import (
    BESIDE_CHAT,
    CREATED,
    WORKSPACE,
    ended,
    job,
    observed,
    pod,
    waiting_for_chat,
)
from tests.unit.domain.samples import workspace
from tests.unit.domain.volume_snapshots import by_ref, volume_snapshot

BACKUP = "20261130T030000Z-00000001"
OTHER = "20261129T030000Z-00000002"
WANTED = Restore(backup=BACKUP)
ANOTHER = Restore(backup=OTHER)
IMAGES = {"ollama": "ollama:1", "openWebUI": "open-webui:1"}
NO_PLACE = Problem(Reason.BACKUP_STORE_FAILED, "there is no destination")


def chat(replicas: int, running: int = 0, *, seen: bool = True) -> dict[Ref, Manifest]:
    """The chat's Deployment, with so many pods as its controller has counted."""
    manifest = {
        "kind": "Deployment",
        "metadata": {"name": names.openwebui(WORKSPACE), "generation": 2},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 2 if seen else 1, "replicas": running},
    }
    return {Ref("Deployment", WORKSPACE, names.openwebui(WORKSPACE)): manifest}


STOPPED = chat(0)


def chat_pod(phase: str = "Running") -> Manifest:
    return {
        "kind": "Pod",
        "metadata": {"name": "chat", "labels": {names.COMPONENT_LABEL: "openwebui"}},
        "status": {"phase": phase},
    }


def record(
    restore: Restore = WANTED, state: BackupState = BackupState.RUNNING, run: str = "", **rest: Any
) -> RestoreRecord:
    return RestoreRecord(target=restore, state=state, run=run, **rest)


def wanting(
    restore: Restore | None, recorded: RestoreRecord | None = None, *, is_new: bool = False
) -> Workspace:
    """The workspace with that spec.restore and that status.restore."""
    return workspace(
        restore=restore.model_dump(by_alias=True, exclude_defaults=True) if restore else None,
        status={
            **({} if is_new else {"images": IMAGES}),
            "restore": recorded.model_dump(mode="json", by_alias=True) if recorded else None,
        },
    )


def name_of_run(restore: Restore = WANTED) -> str:
    plan = plan_restore(wanting(restore), observed(objects=STOPPED))
    assert plan.run is not None
    return plan.run.name


RUN = name_of_run()
RECOVERY = RUN.replace("-restore-", "-recover-")
FAILED_RESULT = {"error": "invalid-archive", "message": "data/webui.db is torn"}


@dataclass(frozen=True)
class Step:
    """What is seen at one moment of a restore, and what has to become of it."""

    recorded: RestoreRecord | None
    seen: tuple[Manifest, ...]
    objects: dict[Ref, Manifest]
    state: BackupState | None
    run: str = ""
    """The Job that is made."""
    deleted: tuple[str, ...] = ()
    is_stopped: bool = True
    target: Restore | None = WANTED
    message: str = ""


STEPS = {
    "the chat runs": Step(None, (chat_pod(),), chat(1, 1), BackupState.RUNNING),
    "the chat was told to stop": Step(record(), (chat_pod(),), chat(0, 1), BackupState.RUNNING),
    "its controller has not seen it": Step(
        record(), (), chat(0, 0, seen=False), BackupState.RUNNING, message="waits for the chat"
    ),
    "its pod is ending": Step(
        record(), (chat_pod(),), chat(0, 0), BackupState.RUNNING, message="waits for pod chat"
    ),
    "only the record of its pod is there": Step(
        record(), (chat_pod("Failed"),), STOPPED, BackupState.RUNNING, run=RUN
    ),
    "its pod is gone": Step(record(), (), STOPPED, BackupState.RUNNING, run=RUN),
    "a backup is being made": Step(
        record(),
        (job("nightly"), pod(job("nightly"))),
        STOPPED,
        BackupState.RUNNING,
        message="waits for pod nightly-x",
    ),
    "a backup waits for the chat": Step(
        record(),
        (job("nightly"), waiting_for_chat(job("nightly"))),
        STOPPED,
        BackupState.RUNNING,
        run=RUN,
    ),
    "a backup of a suspended workspace waits for any node": Step(
        record(),
        (job("nightly"), pod(job("nightly"), phase="Pending")),
        STOPPED,
        BackupState.RUNNING,
        message="waits for pod nightly-x",
    ),
    "one that was removed is wanted again": Step(
        record(state=BackupState.FAILED, reason="RestoreCancelled", run=RECOVERY),
        (job(RECOVERY, "Complete"),),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RECOVERY,),
    ),
    "a pod of a deleted restore waits for a node": Step(
        record(run=RUN),
        (pod(job(name_of_run(ANOTHER)), phase="Pending"),),
        STOPPED,
        BackupState.RUNNING,
        message="waits for pod",
    ),
    "a Job of an earlier restore is there": Step(
        record(),
        (job(name_of_run(ANOTHER), "Complete"),),
        STOPPED,
        BackupState.RUNNING,
        deleted=(name_of_run(ANOTHER),),
    ),
    "the record is stored and the Job is not made": Step(
        record(run=RUN), (), STOPPED, BackupState.RUNNING, run=RUN
    ),
    "the Job has no pod": Step(record(run=RUN), (job(RUN),), STOPPED, BackupState.RUNNING),
    "its pod has no image": Step(
        record(run=RUN),
        (job(RUN), pod(job(RUN), waiting={"reason": "ErrImagePull", "message": "no such host"})),
        STOPPED,
        BackupState.RUNNING,
        message="ErrImagePull: no such host",
    ),
    "its pod runs": Step(
        record(run=RUN), (job(RUN), pod(job(RUN), running={})), STOPPED, BackupState.RUNNING
    ),
    "its pod was killed and the Job tries again": Step(
        record(run=RUN), (job(RUN), ended(job(RUN), 137)), STOPPED, BackupState.RUNNING
    ),
    "it is done": Step(
        record(run=RUN),
        (job(RUN, "Complete"), ended(job(RUN), 0, {"name": BACKUP})),
        STOPPED,
        BackupState.DONE,
        is_stopped=False,
        message=BACKUP,
    ),
    "it is done, and its pod is gone": Step(
        record(run=RUN), (job(RUN, "Complete"),), STOPPED, BackupState.DONE, is_stopped=False
    ),
    "it was done before an operator that had not recorded it": Step(
        None, (job(RUN, "Complete"),), STOPPED, BackupState.DONE, is_stopped=False
    ),
    "the program refused": Step(
        record(run=RUN),
        (job(RUN, "Failed", "PodFailurePolicy"), ended(job(RUN), 1, FAILED_RESULT)),
        STOPPED,
        BackupState.FAILED,
        is_stopped=False,
        message="data/webui.db is torn; the data is as it was before",
    ),
    "the program refused, after it had ended another restore that was killed": Step(
        record(run=RUN),
        (
            job(RUN, "Failed", "PodFailurePolicy"),
            ended(job(RUN), 1, {**FAILED_RESULT, "replaced": "another"}),
        ),
        STOPPED,
        BackupState.FAILED,
        is_stopped=False,
        message="torn; the data is wholly that of backup another, whose restore was killed",
    ),
    "the program refused, and its pod is gone": Step(
        record(run=RUN),
        (job(RUN, "Failed", "PodFailurePolicy"),),
        STOPPED,
        BackupState.FAILED,
        is_stopped=False,
    ),
    "it failed, and the end of its last pod is not seen": Step(
        record(run=RUN),
        (
            job(RUN, "Failed", "PodFailurePolicy"),
            ended(job(RUN), 137),
            pod(job(RUN), running={}),
        ),
        STOPPED,
        BackupState.RUNNING,
    ),
    "a second try refused after a first was killed in the same second": Step(
        record(run=RUN),
        (
            job(RUN, "Failed", "PodFailurePolicy"),
            ended(job(RUN), 137),
            ended(job(RUN), 1, FAILED_RESULT),
        ),
        STOPPED,
        BackupState.FAILED,
        is_stopped=False,
        message="data/webui.db is torn",
    ),
    "it was killed too often": Step(
        record(run=RUN),
        (job(RUN, "Failed", "BackoffLimitExceeded"), ended(job(RUN), 137)),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RUN,),
        message="exit code 137; to give up, remove spec.restore",
    ),
    "the program could not put the old data back": Step(
        record(run=RUN),
        (
            job(RUN, "Failed", "BackoffLimitExceeded"),
            ended(job(RUN), 3, {"error": "volume-failed", "message": "the volume is full"}),
        ),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RUN,),
        message="the volume is full",
    ),
    "it took too long": Step(
        record(run=RUN),
        (job(RUN, "Failed", "DeadlineExceeded"),),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RUN,),
        message="took too long",
    ),
    "it is recorded as done": Step(
        record(state=BackupState.DONE, run=RUN),
        (job(RUN, "Complete"),),
        chat(1, 1),
        BackupState.DONE,
        is_stopped=False,
    ),
    "it is recorded as done, and its Job is gone": Step(
        record(state=BackupState.DONE, run=RUN),
        (),
        chat(1, 1),
        BackupState.DONE,
        is_stopped=False,
    ),
    "it is recorded as failed": Step(
        record(state=BackupState.FAILED, run=RUN),
        (),
        chat(1, 1),
        BackupState.FAILED,
        is_stopped=False,
    ),
    "nothing was ever restored": Step(None, (), chat(1, 1), None, is_stopped=False, target=None),
    "the spec names it no longer": Step(
        record(state=BackupState.DONE, run=RUN),
        (),
        chat(1, 1),
        BackupState.DONE,
        is_stopped=False,
        target=None,
    ),
    "it was removed before anything was touched": Step(
        record(),
        (chat_pod(),),
        chat(0, 1),
        BackupState.FAILED,
        is_stopped=False,
        target=None,
        message="before anything was restored",
    ),
    "it was removed while its Job ran": Step(
        record(run=RUN),
        (job(RUN), pod(job(RUN), running={})),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RUN,),
        target=None,
    ),
    "it was removed, and the Job's pod is ending": Step(
        record(run=RUN), (pod(job(RUN), running={}),), STOPPED, BackupState.RUNNING, target=None
    ),
    "it was removed after its Job had run, and the Job is gone": Step(
        record(run=RUN, started=True), (), STOPPED, BackupState.RUNNING, run=RECOVERY, target=None
    ),
    "it was removed before its Job was made": Step(
        record(run=RUN),
        (),
        STOPPED,
        BackupState.FAILED,
        is_stopped=False,
        target=None,
        message="before anything was restored",
    ),
    "it was removed while its Job could make no pod": Step(
        record(run=RUN), (job(RUN),), STOPPED, BackupState.RUNNING, deleted=(RUN,), target=None
    ),
    "it was removed while its image could not be pulled": Step(
        record(run=RUN),
        (job(RUN), pod(job(RUN), phase="Pending", waiting={"reason": "ErrImagePull"})),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RUN,),
        target=None,
    ),
    "it was removed, and the pod that never ran is ending": Step(
        record(run=RUN),
        (pod(job(RUN), phase="Pending", waiting={"reason": "ErrImagePull"}),),
        STOPPED,
        BackupState.RUNNING,
        target=None,
    ),
    "it was removed at the deadline of a Job that never ran": Step(
        record(run=RUN),
        (job(RUN, "Failed", "DeadlineExceeded", failed=1),),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RUN,),
        target=None,
        message="to be gone",
    ),
    "it was removed, and the killed pod is gone": Step(
        record(run=RUN),
        (job(RUN, failed=1),),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RUN,),
        target=None,
        message="an earlier Job",
    ),
    "it was interrupted again": Step(
        record(run=RUN, interruptions=1, started=True),
        (job(RUN, "Failed", "BackoffLimitExceeded"), ended(job(RUN), 137)),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RUN,),
    ),
    "what was removed is recovered": Step(
        record(run=RECOVERY),
        (job(RECOVERY), pod(job(RECOVERY), running={})),
        STOPPED,
        BackupState.RUNNING,
        target=None,
    ),
    "the recovery is done": Step(
        record(run=RECOVERY),
        (job(RECOVERY, "Complete"),),
        STOPPED,
        BackupState.FAILED,
        is_stopped=False,
        target=None,
        message="as it was before, or wholly that of backup",
    ),
    "the recovery was killed too often": Step(
        record(run=RECOVERY),
        (job(RECOVERY, "Failed", "BackoffLimitExceeded"),),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RECOVERY,),
        target=None,
    ),
    "it was removed and is wanted again": Step(
        record(run=RECOVERY),
        (job(RECOVERY), pod(job(RECOVERY), running={})),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RECOVERY,),
    ),
    "another one is wanted while its Job runs": Step(
        record(run=RUN),
        (job(RUN), pod(job(RUN), running={})),
        STOPPED,
        BackupState.RUNNING,
        deleted=(RUN,),
        target=ANOTHER,
    ),
    "another one is wanted, and the Job is gone": Step(
        record(ANOTHER, run=RUN),
        (),
        STOPPED,
        BackupState.RUNNING,
        run=name_of_run(ANOTHER),
        target=ANOTHER,
    ),
    "another one was wanted and removed": Step(
        record(ANOTHER, run=RUN, started=True),
        (),
        STOPPED,
        BackupState.RUNNING,
        run=name_of_run(ANOTHER).replace("-restore-", "-recover-"),
        target=None,
    ),
    "a snapshot is still to be made": Step(
        record(),
        (),
        {**STOPPED, **by_ref(volume_snapshot("0000000b"))},
        BackupState.RUNNING,
        message="waits for VolumeSnapshot team-a-aichat-backup-0000000b to be made, or gone",
    ),
    "a snapshot is made and not ready": Step(
        record(),
        (),
        {**STOPPED, **by_ref(volume_snapshot("0000000b", creationTime=CREATED))},
        BackupState.RUNNING,
        run=RUN,
    ),
    "a snapshot failed, and is tried again at any time": Step(
        record(),
        (),
        {**STOPPED, **by_ref(volume_snapshot("0000000b", error={"message": "full"}))},
        BackupState.RUNNING,
        deleted=("team-a-aichat-backup-0000000b",),
        message="waits for VolumeSnapshot",
    ),
    "a Job that nothing is known of writes": Step(
        None, (job(RUN), pod(job(RUN), running={})), STOPPED, None, target=None
    ),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_each_step_leads_to_the_next_from_what_is_recorded_and_seen(step: Step) -> None:
    plan = plan_restore(
        wanting(step.target, step.recorded), observed(*step.seen, objects=step.objects)
    )
    assert (plan.record.state if plan.record else None) is step.state
    assert (plan.run.name if plan.run else "") == step.run
    assert tuple(job["metadata"]["name"] for job in plan.obsolete) == step.deleted
    assert plan.stops_chat is step.is_stopped
    assert step.message in (plan.record.message if plan.record else "")


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_the_record_of_a_job_is_there_before_the_job(step: Step) -> None:
    plan = plan_restore(
        wanting(step.target, step.recorded), observed(*step.seen, objects=step.objects)
    )
    if plan.run is not None:
        assert plan.record is not None
        assert plan.record.run == plan.run.name


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_no_chat_runs_while_a_job_may_write(step: Step) -> None:
    plan = plan_restore(
        wanting(step.target, step.recorded), observed(*step.seen, objects=step.objects)
    )
    is_alive = any(
        manifest["kind"] == "Pod"
        and manifest["status"]["phase"] == "Running"
        and manifest["metadata"]["name"].startswith((RUN, RECOVERY))
        for manifest in step.seen
    )
    assert plan.stops_chat or not is_alive
    assert not (plan.run and is_alive)


def test_a_clone_reads_the_other_ones_folder_and_says_so() -> None:
    restore = Restore(backup=BACKUP, source="source-aichat")
    plan = plan_restore(wanting(restore), observed(objects=STOPPED))
    assert plan.run is not None
    assert plan.run.source == "source-aichat"
    assert plan.run.arguments == (
        *("restore", BACKUP, "--from-another-workspace"),
        *("--once", plan.run.name),
    )


def test_a_source_of_its_own_name_is_another_workspace() -> None:
    """One of the same team and workspaceName had another metadata.name."""
    plan = plan_restore(
        wanting(Restore(backup=BACKUP, source=WORKSPACE)), observed(objects=STOPPED)
    )
    assert plan.run is not None
    assert plan.run.source == WORKSPACE
    assert plan.run.arguments == (
        *("restore", BACKUP, "--from-another-workspace"),
        *("--once", plan.run.name),
    )


def test_a_job_that_replaced_nothing_says_so() -> None:
    """Its record and its first Job were lost, and the data said that they come from it."""
    seen = (job(RUN, "Complete"), ended(job(RUN), 0, {"name": BACKUP, "again": True}))
    plan = plan_restore(wanting(WANTED, record(run=RUN)), observed(*seen))
    assert plan.record is not None
    assert plan.record.state is BackupState.DONE
    assert "since before: nothing was replaced" in plan.record.message
    assert "spec.restore.request" in plan.record.message


def test_another_request_is_another_job_of_a_name_that_a_pod_can_have() -> None:
    again = Restore(backup=BACKUP, request="again")
    assert name_of_run(again) != RUN
    long = workspace("a" * 45, restore={"backup": BACKUP}, status={"images": IMAGES})
    plan = plan_restore(long, observed())
    assert plan.run is not None
    assert len(plan.run.name) <= 63


def test_what_keeps_a_restore_from_beginning_leaves_the_chat_running() -> None:
    plan = plan_restore(wanting(WANTED), observed(objects=chat(1, 1)), NO_PLACE)
    assert plan.problem == NO_PLACE
    assert (plan.record, plan.stops_chat, plan.run) == (None, False, None)


def test_what_keeps_a_restore_from_going_on_lets_the_chat_run_until_data_was_touched() -> None:
    before = plan_restore(wanting(WANTED, record()), observed(objects=STOPPED), NO_PLACE)
    assert (before.stops_chat, before.run, before.problem) == (False, None, NO_PLACE)
    after = plan_restore(wanting(WANTED, record(run=RUN)), observed(objects=STOPPED), NO_PLACE)
    assert (after.stops_chat, after.run, after.problem) == (True, None, NO_PLACE)


def test_a_recovery_needs_no_place_for_backups() -> None:
    removed = wanting(None, record(run=RUN, started=True))
    plan = plan_restore(removed, observed(objects=STOPPED), NO_PLACE)
    assert plan.run is not None
    assert (plan.run.source, plan.problem) == (None, None)
    assert plan.run.arguments == ("recover", "--forget", RUN), "it may be asked for again"
    refused = plan_restore(removed, observed(objects=STOPPED), None, NO_PLACE)
    assert (refused.run, refused.problem) == (None, NO_PLACE)


@pytest.mark.parametrize(
    "state", [{"running": {}}, {"terminated": {"exitCode": 137}}], ids=["runs", "was killed"]
)
def test_what_ran_once_is_remembered(state: dict[str, Any]) -> None:
    plan = plan_restore(
        wanting(WANTED, record(run=RUN)), observed(job(RUN), pod(job(RUN), **state))
    )
    assert plan.record is not None
    assert plan.record.started
    changed = plan_restore(wanting(ANOTHER, plan.record), observed())
    assert changed.record is not None
    assert changed.record.started, "another Job's data may be half in place"


def test_an_injected_container_that_runs_has_touched_nothing() -> None:
    injected = pod(job(RUN), phase="Pending", waiting={"reason": "ErrImagePull"})
    injected["status"]["containerStatuses"].append({"name": "proxy", "state": {"running": {}}})
    plan = plan_restore(wanting(WANTED, record(run=RUN)), observed(job(RUN), injected))
    assert plan.record is not None
    assert not plan.record.started


def test_the_api_server_is_asked_before_a_chat_starts_whose_restore_is_given_up() -> None:
    plan = plan_restore(wanting(None, record(run=RUN)), observed(objects=STOPPED))
    assert plan.is_given_up
    started = plan_restore(wanting(None, record(run=RUN)), observed(chat_pod(), objects=chat(1, 1)))
    assert (started.is_given_up, started.stops_chat) == (False, False), "it has been asked"


def test_the_second_interrupted_job_is_a_problem_until_the_restore_ends() -> None:
    killed = (job(RUN, "Failed", "BackoffLimitExceeded"), ended(job(RUN), 137))
    first = plan_restore(wanting(WANTED, record(run=RUN)), observed(*killed))
    assert first.problem is None
    second = plan_restore(wanting(WANTED, first.record), observed(*killed))
    assert second.problem is not None
    assert "exit code 137" in second.problem.message
    assert stopped(second).problem
    running = plan_restore(wanting(WANTED, second.record), observed(job(RUN)))
    assert running.problem is not None
    done = plan_restore(wanting(WANTED, running.record), observed(job(RUN, "Complete")))
    assert (done.problem, done.stops_chat) == (None, False)


def test_a_job_that_runs_is_followed_whatever_is_wrong_with_the_spec() -> None:
    seen = (job(RUN, "Complete"),)
    plan = plan_restore(wanting(WANTED, record(run=RUN)), observed(*seen), NO_PLACE)
    assert plan.record is not None
    assert plan.record.state is BackupState.DONE


def test_a_new_chat_does_not_begin_without_its_data() -> None:
    """People would write what the restore then replaces."""
    waiting = plan_restore(wanting(WANTED, is_new=True), observed(), NO_PLACE)
    assert (waiting.stops_chat, waiting.problem) == (True, NO_PLACE)
    begun = plan_restore(wanting(WANTED, is_new=True), observed())
    assert begun.stops_chat
    assert begun.run is not None, "the Job's pod is the first that uses the volume"
    seen = (job(RUN, "Failed", "PodFailurePolicy"), ended(job(RUN), 1, FAILED_RESULT))
    failed = plan_restore(wanting(WANTED, record(run=RUN), is_new=True), observed(*seen))
    assert (failed.stops_chat, failed.lacks_data) == (True, True)
    stays = plan_restore(wanting(WANTED, failed.record, is_new=True), observed(*seen))
    assert stays.stops_chat
    given_up = plan_restore(wanting(None, failed.record, is_new=True), observed(*seen))
    assert not given_up.stops_chat


@pytest.mark.parametrize(
    "known",
    [
        {"images": IMAGES},
        {"chatStarted": True},
        {"conditions": [{"type": ConditionType.OPENWEBUI_AVAILABLE, "status": "True"}]},
    ],
    ids=["both worked", "the chat worked", "the chat works"],
)
def test_a_chat_that_worked_runs_on_whatever_the_model_server_did(known: dict[str, Any]) -> None:
    failed = record(state=BackupState.FAILED, run=RUN).model_dump(mode="json", by_alias=True)
    subject = workspace(
        restore={"backup": BACKUP},
        status={"restore": failed, "conditions": [], **_dated(known)},
    )
    plan = plan_restore(subject, observed())
    assert (plan.stops_chat, plan.lacks_data) == (False, False)


def _dated(known: dict[str, Any]) -> dict[str, Any]:
    since = "2026-11-23T11:00:00Z"
    rest: dict[str, Any] = {"reason": "Available", "message": "", "lastTransitionTime": since}
    rest["observedGeneration"] = 1
    conditions = [{**rest, **condition} for condition in known.get("conditions", ())]
    return {**known, "conditions": conditions}


class TestARequestsJobThatHasNotBegun:
    def outdated(self, *pods: Manifest, beside: bool, stops: bool = False, **spec: Any) -> bool:
        template = {"template": {"spec": BESIDE_CHAT if beside else {}}}
        run = {**job("team-a-aichat-backup-0a1b2c3d"), "spec": template}
        outdated = outdated_runs(workspace(**spec), observed(run, *pods), stops_chat=stops)
        return run in [*outdated]

    def test_is_made_anew_when_the_chat_it_needs_is_suspended(self) -> None:
        assert self.outdated(beside=True, suspended=True)
        assert not self.outdated(beside=True)

    def test_is_made_anew_when_the_chat_runs_again(self) -> None:
        assert self.outdated(beside=False)
        assert not self.outdated(beside=False, suspended=True)

    def test_gives_way_to_a_restore_where_it_would_run_beside(self) -> None:
        assert self.outdated(beside=False, stops=True, suspended=True)
        assert not self.outdated(beside=True, stops=True)

    def test_stays_once_a_pod_has_a_node(self) -> None:
        run = job("team-a-aichat-backup-0a1b2c3d")
        assert not self.outdated(pod(run), beside=True, suspended=True)
        assert self.outdated(waiting_for_chat(run), beside=True, suspended=True)


class TestARunOfTheScheduleThatHasNotBegun:
    """It would end as a failure at its deadline."""

    def outdated(self, *pods: Manifest, stops: bool = False, **spec: Any) -> bool:
        run = job("team-a-aichat-backup-29001")
        owners = [{"kind": "CronJob", "name": "team-a-aichat-backup", "controller": True}]
        metadata = {**run["metadata"], "ownerReferences": owners}
        run = {**run, "metadata": metadata, "spec": {"template": {"spec": BESIDE_CHAT}}}
        outdated = outdated_runs(workspace(**spec), observed(run, *pods), stops_chat=stops)
        return run in [*outdated]

    def test_goes_when_the_chat_is_suspended_and_waits_for_a_restore(self) -> None:
        assert self.outdated(suspended=True)
        assert self.outdated(waiting_for_chat(job("team-a-aichat-backup-29001")), suspended=True)
        assert not self.outdated()
        assert not self.outdated(stops=True)

    def test_stays_once_a_pod_has_a_node(self) -> None:
        assert not self.outdated(pod(job("team-a-aichat-backup-29001")), suspended=True)


def test_the_texts_of_other_programs_are_cut() -> None:
    long = pod(job(RUN), waiting={"reason": "ErrImagePull", "message": "x" * 5000})
    plan = plan_restore(wanting(WANTED, record(run=RUN)), observed(job(RUN), long, objects=STOPPED))
    assert plan.record is not None
    assert len(plan.record.message) == 1024


@pytest.mark.parametrize(
    ("target", "recorded", "copies_from"),
    [
        (WANTED, None, RUN),
        (WANTED, record(run=RUN), RUN),
        (ANOTHER, record(run=RUN), name_of_run(ANOTHER)),
        (WANTED, record(state=BackupState.DONE, run=RUN), ""),
        (None, record(run=RUN, started=True), ""),
    ],
    ids=["it is made", "its Job is there", "another one is wanted", "it is over", "it is given up"],
)
def test_what_a_restore_copies_from_is_there_as_long_as_its_run(
    target: Restore | None, recorded: RestoreRecord | None, copies_from: str
) -> None:
    plan = plan_restore(wanting(target, recorded), observed(objects=STOPPED))
    assert plan.copies_from == copies_from


def test_what_a_restore_copies_from_is_not_made_before_the_chat_has_stopped() -> None:
    plan = plan_restore(wanting(WANTED), observed(chat_pod(), objects=chat(1, 1)))
    assert plan.copies_from == ""
