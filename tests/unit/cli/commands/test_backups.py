"""Commands for backups: what they ask for, what they say, and how they wait."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
import typer

from aichat_workspace.cli import waiting
from aichat_workspace.cli.commands import backups
from aichat_workspace.cli.errors import ExitCode
from aichat_workspace.cli.render import backup_runs, bring_up
from aichat_workspace.cli.render.lines import text_of
from aichat_workspace.cli.session import Session
from tests.unit.cli.world import READY_STATUS, World, condition, program, with_team

OLD: Final = "20261130T023000Z-0f3b9c2d"
NEW: Final = "20261201T023000Z-1a2b3c4d"
RECORD: Final[dict[str, Any]] = {
    "state": "Done",
    "request": "",
    "succeededAt": "2026-12-01T02:30:09Z",
    "items": [
        {"name": NEW, "sizeBytes": 46 * 2**20, "openWebUI": "0.6.5"},
        {"name": OLD, "sizeBytes": 2**20},
    ],
}


def put_backups(world: World, **parts: Any) -> None:
    """Let red-chat have two backups, on a platform with a destination for them."""
    status = {**READY_STATUS, "backup": RECORD | parts.pop("record", {})}
    world.put(status=status, **parts)


@pytest.fixture(autouse=True)
def platform(world: World) -> None:
    """A platform with a place for backups."""
    put_destinations(world, "offsite")
    with_team(world)


def put_destinations(world: World, *destinations: str) -> None:
    s3 = {"endpoint": "https://s3.example.org", "bucket": "backups", "secretName": "store"}
    backup = {
        "destinations": [{"name": name, "s3": s3} for name in destinations],
        "passphraseSecretName": "passphrase",
    }
    world.put_platform(backup=backup)


class TestBackups:
    def test_the_table_has_ages_sizes_and_versions(self, world: World) -> None:
        put_backups(world, spec={"backup": {"schedule": "30 2 * * *", "timeZone": "Etc/UTC"}})
        result = world.run("backups", "red-chat")
        assert result.code == 0, result.err
        lines = result.out.splitlines()
        assert lines[0].split() == ["NAME", "MADE", "SIZE", "OPEN", "WEBUI"]
        assert lines[1].startswith(NEW)
        assert lines[1].endswith("46.0 MiB  0.6.5")
        assert lines[3] == "made by schedule: 30 2 * * * (Etc/UTC)"
        assert "2026-12-01T02:30:00Z" in world.run("backups", "red-chat", "-o", "wide").out

    def test_names_and_documents_are_for_programs(self, world: World) -> None:
        put_backups(world)
        assert world.run("backups", "red-chat", "-o", "name").out.split() == [NEW, OLD]
        document = json.loads(world.run("backups", "red-chat", "-o", "json").out)
        assert document["items"][0]["madeAt"] == "2026-12-01T02:30:00Z"

    def test_a_failed_run_says_why_with_the_reason_that_the_pages_explain(
        self, world: World
    ) -> None:
        failed = {"state": "Failed", "reason": "RunFailed", "message": "the store refuses"}
        put_backups(world, record=failed)
        shown = world.run("backups", "red-chat").out
        assert "backups need you: the store refuses (RunFailed)" in shown

    def test_why_old_ones_stay_is_shown_after_a_run_that_was_well(self, world: World) -> None:
        put_backups(world, record={"message": "old backups stay: AccessDenied"})
        shown = world.run("backups", "red-chat").out
        assert "old backups stay: AccessDenied" in shown
        assert "backups need you" not in shown

    def test_the_shell_completes_their_names(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_backups(world)
        for name, value in world.environment.items():
            monkeypatch.setenv(name, value)
        restore = typer.main.get_command(program()).commands["restore"]  # type: ignore[attr-defined]
        with restore.make_context("restore", ["red-chat"], resilient_parsing=True) as invocation:
            assert backups.complete_backup(invocation, NEW[:8]) == [NEW]
            assert backups.complete_backup(invocation, "") == [NEW, OLD]
        with restore.make_context("restore", [], resilient_parsing=True) as invocation:
            assert backups.complete_backup(invocation, "") == []


class TestBackup:
    def test_it_is_asked_for_and_not_waited_for(self, world: World) -> None:
        put_backups(world)
        assert world.run("backup", "red-chat", "--dry-run").err == "red-chat would be backed up\n"
        assert "backup" not in world.workspace()["spec"]
        result = world.run("backup", "red-chat")
        assert result.err == "red-chat is being backed up\n"
        assert world.workspace()["spec"]["backup"]["request"]

    def test_its_name_is_printed_and_the_same_text_makes_no_second_one(self, world: World) -> None:
        put_backups(world, spec={"backup": {"request": "one"}}, record={"request": "one"})
        result = world.run("backup", "red-chat", "--request", "one", "--wait")
        assert (result.code, result.out) == (0, f"{NEW}\n")
        assert world.workspace()["spec"]["backup"]["request"] == "one"

    def test_the_wait_for_it_ends_with_its_result(
        self, world: World, when_watched: Callable[..., None]
    ) -> None:
        put_backups(world, spec={"backup": {"request": "zero"}}, record={"request": "zero"})
        spec = {"models": ["gemma2:2b"], "backup": {"request": "one"}}
        when_watched(
            lambda: put_backups(
                world, spec=spec, record={"request": "one"}, version=900, generation=2
            )
        )
        result = world.run("backup", "red-chat", "--request", "one", "--wait")
        assert (result.code, result.out) == (0, f"{NEW}\n")

    @pytest.mark.parametrize(
        ("arguments", "text", "watch"),
        [
            (
                ("backup", "red-chat"),
                "the backup of red-chat goes on",
                "aichatctl wait red-chat --for backup",
            ),
            (
                ("restore", "red-chat", OLD, "--yes"),
                "the restore of red-chat goes on",
                "aichatctl wait red-chat --for restore",
            ),
            (("clone", "red-chat", "trial"), "trial goes on coming up", "aichatctl wait trial"),
        ],
        ids=["backup", "restore", "clone"],
    )
    def test_who_interrupts_the_wait_reads_how_to_go_on_with_it(
        self,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        arguments: tuple[str, ...],
        text: str,
        watch: str,
    ) -> None:
        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(waiting, "wait", interrupted)
        put_backups(world)
        result = world.run(*arguments, "--wait")
        assert result.code == 130
        assert f"{text}; `{watch}` watches it." in result.err

    def test_a_time_out_says_what_it_waits_for(self, world: World) -> None:
        put_backups(world)
        result = world.run("backup", "red-chat", "--wait", "--timeout", "0s")
        assert result.code == 5
        assert "it waits for: backup" in result.err


class TestRestore:
    def test_it_says_what_is_replaced_before_it_asks(self, world: World) -> None:
        put_backups(world)
        refused = world.run("restore", "red-chat", OLD, stdin="y\n")
        assert refused.code == 2
        assert "Replace the chats, people and documents of red-chat of team red" in refused.err
        assert "The chat stops meanwhile." in refused.err
        assert "restore" not in world.workspace()["spec"]
        assert world.run("restore", "red-chat", OLD, "--yes").code == 0
        assert world.workspace()["spec"]["restore"]["backup"] == OLD

    def test_one_that_is_not_listed_needs_an_option(self, world: World) -> None:
        put_backups(world)
        gone = "20250101T000000Z-99999999"
        refused = world.run("restore", "red-chat", gone, "--yes")
        assert refused.code == 1
        assert "aichatctl backups red-chat" in refused.err
        assert world.run("restore", "red-chat", gone, "--yes", "--unlisted").code == 0

    def test_one_of_another_destination_is_in_no_list(self, world: World) -> None:
        put_backups(world)
        put_destinations(world, "offsite", "attic")
        gone = "20250101T000000Z-99999999"
        option = ("--from-destination", "attic")
        question = world.run("restore", "red-chat", gone, *option, stdin="y\n")
        assert f"by those of backup {gone} from attic" in question.err
        assert world.run("restore", "red-chat", gone, *option, "--yes").code == 0
        assert world.workspace()["spec"]["restore"]["destination"] == "attic"
        assert world.run("clone", "red-chat", "trial", "--backup", gone, *option).code == 0
        assert world.workspace("trial")["spec"]["restore"]["destination"] == "attic"


class TestClone:
    def test_it_says_which_backup_it_begins_with(self, world: World) -> None:
        put_backups(world)
        result = world.run("clone", "red-chat", "trial", "--dry-run")
        assert result.err == f"trial would be created from backup {NEW} of red-chat\n"
        result = world.run("clone", "red-chat", "trial", "--backup", OLD)
        assert result.code == 0
        assert result.err.startswith(f"trial is being created from backup {OLD} of red-chat\n")
        assert world.workspace("trial")["spec"]["restore"]["source"] == "red-chat"


def document(record: dict[str, Any], request: str = "two", *conditions: Any) -> dict[str, Any]:
    spec = {"backup": {"request": request}}
    status = {"backup": record, "conditions": [*conditions]}
    return {"name": "red-chat", "generation": 1, "spec": spec, "status": status}


class TestWaiting:
    def test_a_backup_is_made_once_the_run_that_was_asked_for_is_done(self) -> None:
        earlier = {"state": "Done", "request": "one"}
        running = {"state": "Running", "request": "two", "message": "no room yet"}
        assert not backup_runs.is_backed_up(document(earlier))
        assert not backup_runs.is_backed_up(document(running))
        assert backup_runs.is_backed_up(document({"state": "Done", "request": "two"}))
        progress = bring_up.begin(document(running), 0, backup_runs.BACKUP)
        lines = [text_of(spans) for spans in bring_up.live_lines(progress, 2, 100)]
        assert lines == ["  ◐ backup                          2.0 s   no room yet"]

    def test_only_the_run_that_was_asked_for_can_fail_the_wait(self) -> None:
        failed = {"state": "Failed", "message": "the store refuses"}
        assert backup_runs.backup_failure(document({**failed, "request": "one"})) == ""
        failure = backup_runs.backup_failure(document({**failed, "request": "two"}))
        assert failure == "the store refuses"

    def test_what_keeps_a_run_from_beginning_is_a_problem(self) -> None:
        problem = condition("BackedUp", "False", "there is no place for backups")
        waiting = document({"state": "Done", "request": "one"}, "two", problem)
        assert backup_runs.BACKUP.problem(waiting) == "there is no place for backups"

    def test_a_restore_is_done_once_it_is_the_one_that_the_spec_asks_for(self) -> None:
        desired = {"backup": OLD, "request": "two"}
        spec = {"restore": desired}
        up = [condition("OpenWebUIAvailable")]

        def restored(state: str, carried_out: dict[str, Any], conditions: Any) -> dict[str, Any]:
            record = {"target": carried_out, "state": state, "message": "why"}
            status = {"restore": record, "conditions": conditions}
            return {"generation": 1, "spec": spec, "status": status}

        assert backup_runs.is_back(restored("Done", desired, up))
        assert not backup_runs.is_back(restored("Done", desired, []))
        assert not backup_runs.is_back(restored("Done", {"backup": NEW, "request": ""}, up))
        assert backup_runs.restore_failure(restored("Failed", desired, up)) == "why"
        assert backup_runs.restore_failure(restored("Failed", {"backup": NEW}, up)) == ""


def test_the_report_and_the_wide_table_say_that_the_last_run_failed(world: World) -> None:
    put_backups(world, record={"state": "Failed", "message": "the store refuses"})
    assert "ago; the store refuses" in world.run("describe", "red-chat").out
    assert "▲ failed" in world.run("get", "red-chat", "-o", "wide").out


def test_backups_that_are_overdue_after_a_good_run_are_a_problem_everywhere(world: World) -> None:
    overdue = {
        **condition("BackedUp", "False", "a backup is overdue"),
        "reason": "BackupOverdue",
    }
    conditions = [*READY_STATUS["conditions"], overdue]
    world.put(
        spec={"backup": {"schedule": "@daily"}},
        status={**READY_STATUS, "conditions": conditions, "backup": RECORD},
    )
    assert "backups need you: a backup is overdue" in world.run("backups", "red-chat").out
    assert "ago; a backup is overdue" in world.run("describe", "red-chat").out
    assert "▲ failed" in world.run("get", "red-chat", "-o", "wide").out
    assert "red-chat: a backup is overdue" in world.run("doctor").out


def test_a_workspace_that_was_never_backed_up_has_a_dash(world: World) -> None:
    world.put()
    assert "Backed up" not in world.run("describe", "red-chat").out


class TestWrongWords:
    @pytest.mark.parametrize(
        "name", ["", "../red-chat", "red-chat:suspend", "a/b", "\x1b]0;x\x07", "."]
    )
    @pytest.mark.parametrize("command", [("backup",), ("backups",), ("get",), ("delete", "--yes")])
    def test_what_can_be_no_name_of_a_workspace_is_sent_nowhere(
        self, world: World, name: str, command: tuple[str, ...]
    ) -> None:
        put_backups(world)
        result = world.run(command[0], name, *command[1:])
        assert result.code == ExitCode.USAGE
        assert "is no name of a workspace" in result.err
        assert "try: aichatctl list" in result.err
        assert not set("\x1b\x07") & set(result.err)

    def test_what_a_value_looks_like_is_said_in_words(self, world: World) -> None:
        put_backups(world)
        for arguments, words in (
            (("restore", "red-chat", "newest", "--yes"), "a backup's name, as 2026"),
            (("clone", "red-chat", "Blue_Chat"), "lower-case letters, digits and hyphens"),
            (("invite-to-chat", "red-chat", "bo"), "an address, as bo@example.org"),
        ):
            result = world.run(*arguments)
            assert result.code == ExitCode.FAILED
            assert words in result.err
            assert "pattern" not in result.err

    def test_nobody_is_asked_about_a_restore_that_is_refused(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_backups(world)
        questions: list[str] = []
        monkeypatch.setattr(Session, "confirm", lambda _, question: questions.append(question))
        assert world.run("restore", "red-chat", "20200101T000000Z-00000000").code != 0
        assert questions == []
        assert "restore" not in world.workspace()["spec"]
        assert world.run("restore", "red-chat", OLD).code == 0
        assert len(questions) == 1
