"""Commands that follow."""

import json

import pytest

from aichat_workspace.cli import waiting
from aichat_workspace.cli.commands.following import Aim, change_line, changed, for_output
from aichat_workspace.cli.errors import ExitCode
from aichat_workspace.cli.render.lines import text_of
from aichat_workspace.cli.terminal import Terminal
from tests.unit.cli.conftest import Acting
from tests.unit.cli.world import PULLING_STATUS, READY_STATUS, STALLED_STATUS, World


class TestWait:
    def test_a_ready_workspace_is_waited_for_no_longer(self, world: World) -> None:
        world.put()
        result = world.run("wait", "red-chat")
        assert (result.code, result.out) == (0, "red-chat is ready\n")

    def test_it_ends_when_the_workspace_becomes_ready(
        self, world: World, when_watched: Acting
    ) -> None:
        world.put(status=PULLING_STATUS)
        when_watched(lambda: world.put(version=2))
        result = world.run("wait", "red-chat")
        assert (result.code, result.out) == (0, "red-chat is ready\n")
        assert "llama3.3:70b 41 %, about 6 min  16.1 GiB of 39.6 GiB" in result.err
        assert "gemma2:2b: done" in result.err

    def test_a_status_of_an_older_spec_is_not_ready(self, world: World) -> None:
        world.put(generation=2)
        result = world.run("wait", "red-chat", "--timeout", "0.3")
        assert result.code == 5

    def test_a_workspace_that_a_person_has_to_mend_is_exit_code_1(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "STALLED_SECONDS", 0.2)
        world.put(status=STALLED_STATUS)
        result = world.run("wait", "red-chat", "--timeout", "60")
        assert result.code == 1
        assert "the models' volume is full" in result.err
        assert "try: aichatctl describe red-chat" in result.err

    def test_a_deletion_meanwhile_is_exit_code_3(self, world: World, when_watched: Acting) -> None:
        world.put(status=PULLING_STATUS)
        when_watched(world.remove)
        result = world.run("wait", "red-chat")
        assert (result.code, "deleted meanwhile" in result.err) == (3, True)

    def test_a_deletion_can_be_waited_for(self, world: World, when_watched: Acting) -> None:
        world.put()
        when_watched(world.remove)
        assert world.run("wait", "red-chat", "--for", "deleted").out == "red-chat is deleted\n"
        assert world.run("wait", "red-chat", "--for", "deleted").code == 0
        assert world.run("wait", "red-chat").code == 3

    @pytest.mark.parametrize("text", ["soon", "-1s", "infs", "5w"])
    def test_a_wrong_duration_is_a_usage_error(self, world: World, text: str) -> None:
        assert world.run("wait", "red-chat", f"--timeout={text}").code == 2


class TestWatch:
    def test_a_watch_ends_with_exit_code_4_when_the_permission_does(self, world: World) -> None:
        world.put(status=PULLING_STATUS)
        world.cluster.forbidden.add("watch")
        assert world.run("watch").code == 4

    def test_changes_are_lines_and_documents_when_piped(
        self, world: World, when_watched: Acting
    ) -> None:
        world.put(status=PULLING_STATUS)

        def revoke() -> None:
            world.cluster.forbidden.add("watch")
            world.forget_reviews()

        when_watched(lambda: world.put(version=2), revoke)
        result = world.run("watch", "-o", "json")
        assert result.code == 4
        changes = [json.loads(text) for text in result.out.splitlines()]
        phases = [(change["type"], change["workspace"]["status"]["phase"]) for change in changes]
        assert phases == [("ADDED", "PullingModels"), ("MODIFIED", "Ready")]

    def test_a_change_is_one_line(self) -> None:
        document = {"name": "red-chat", "status": PULLING_STATUS}
        progress = "llama3.3:70b 41 %, about 6 min"
        assert text_of(change_line("ADDED", document)) == f"red-chat  ◐ Downloading  {progress}"
        gone = {"name": "red-chat", "status": READY_STATUS}
        assert text_of(change_line("DELETED", gone)) == "red-chat  DELETED"

    def test_the_present_workspaces_are_known_by_uid(self) -> None:
        first, second = {"uid": "1", "name": "a"}, {"uid": "2", "name": "a"}
        assert changed({"1": first}, "ADDED", second) == {"1": first, "2": second}
        assert changed({"1": first, "2": second}, "DELETED", first) == {"2": second}


class TestLogs:
    def test_both_logs_are_marked_and_one_is_not(self, world: World) -> None:
        world.put()
        assert world.run("logs", "red-chat").out == "ollama | a line\nopenwebui | a line\n"
        assert world.run("logs", "red-chat", "ollama").out == "a line\n"

    def test_both_logs_are_followed_side_by_side(self, world: World) -> None:
        world.put()
        lines = world.run("logs", "red-chat", "-f").out.splitlines()
        assert sorted(lines) == ["ollama | a line", "openwebui | a line"]

    def test_a_log_without_an_end_of_line_is_whole(self, world: World) -> None:
        world.put()
        world.cluster.log = b"one\ntwo"
        assert world.run("logs", "red-chat", "ollama", "--since", "10m").out == "one\ntwo\n"

    def test_a_workspace_without_a_namespace_has_no_log(self, world: World) -> None:
        world.put(status={})
        result = world.run("logs", "red-chat", "-f")
        assert result.code == 1
        assert "aichatctl describe red-chat" in result.err

    def test_what_a_terminal_would_obey_is_not_written_to_one(self) -> None:
        hostile = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J"
        terminal = Terminal(None, 80, has_colour=True)  # type: ignore[arg-type]
        pipe = Terminal(None, None, has_colour=False)  # type: ignore[arg-type]
        assert for_output(hostile, terminal) == "red �]0;title� �2J"
        assert for_output(hostile, pipe) == hostile


@pytest.mark.parametrize("aim", list(Aim))
def test_a_wait_that_is_over_says_how_to_wait_on_for_the_same(world: World, aim: Aim) -> None:
    world.put(status={**PULLING_STATUS, "isCreated": False, "conditions": []})
    result = world.run("wait", "red-chat", "--for", aim, "--timeout", "0s")
    assert result.code == ExitCode.TIMED_OUT, result.err
    command = "aichatctl wait red-chat" + (f" --for {aim}" if aim is not Aim.READY else "")
    assert f"{command} goes on waiting" in result.err
