"""The command line in a real terminal, of several widths."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import pexpect
import pyte
import pytest

from tests.unit.cli.world import (
    PULLING_STATUS,
    READY_STATUS,
    STALLED_STATUS,
    TOKEN,
    World,
    condition,
)

PROGRAM: Final = str(Path(sys.executable).parent / "aichatctl")
ROWS: Final = 24
_SECONDS: Final = 60


def _take_interrupts() -> None:
    """Let Ctrl-C reach the program, though a job in the background passes on that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Screen:
    """A program in a terminal, and what the terminal shows."""

    def __init__(self, world: World, *arguments: str, width: int = 80, **environment: str) -> None:
        variables = {**os.environ, **world.environment, "TERM": "xterm-256color", **environment}
        del variables["COLUMNS"]
        self.raw = ""
        self._screen = pyte.Screen(width, ROWS)
        self._stream = pyte.Stream(self._screen)
        self.program: Any = pexpect.spawn(
            PROGRAM,
            list(arguments),
            env=variables,
            dimensions=(ROWS, width),
            encoding="utf-8",
            timeout=_SECONDS,
            preexec_fn=_take_interrupts,
        )

    def wait_for(self, text: str) -> None:
        """Wait until the program writes a text."""
        self.program.expect_exact(text)
        self._take(self.program.before + self.program.after)

    def end(self) -> int:
        """Wait until the program ends, and return its exit code."""
        self.program.expect(pexpect.EOF)
        self._take(self.program.before)
        self.program.close()
        return int(self.program.exitstatus)

    def _take(self, text: str) -> None:
        self.raw += text
        self._stream.feed(text)

    @property
    def rows(self) -> list[str]:
        """The rows that are shown, without empty ones."""
        return [row.rstrip() for row in self._screen.display if row.strip()]


@pytest.fixture
def busy(world: World) -> World:
    """Three workspaces in different states."""
    world.put()
    world.put("research-chat", team="science", version=2, status=PULLING_STATUS)
    world.put("sales-chat", team="sales", version=3, status=STALLED_STATUS)
    return world


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (60, ["WORKSPACE", "TEAM", "STATE", "MODELS", "AGE"]),
        (80, ["WORKSPACE", "TEAM", "STATE", "MODELS", "URL", "AGE"]),
        (200, ["WORKSPACE", "TEAM", "STATE", "MODELS", "URL", "AGE"]),
    ],
)
def test_a_list_fits_the_terminal(busy: World, width: int, columns: list[str]) -> None:
    screen = Screen(busy, "list", width=width)
    assert screen.end() == 0
    assert screen.rows[0].split() == columns
    assert len(screen.rows) == 4
    assert ("llama3.3:70b 41 %" in screen.rows[2]) is (width == 200)


def test_states_are_coloured_only_where_colours_are_wanted(busy: World) -> None:
    coloured, plain = Screen(busy, "list"), Screen(busy, "list", NO_COLOR="1")
    assert (coloured.end(), plain.end()) == (0, 0)
    assert "\x1b[32m● Ready" in coloured.raw
    assert "\x1b[" not in plain.raw
    assert plain.rows == coloured.rows


def run_piped(world: World, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of shell that reads what the program writes."""
    return subprocess.run(  # noqa: S603  (our own program)
        ["/bin/bash", "-c", command.replace("aichatctl", PROGRAM)],
        env={**os.environ, **world.environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def test_a_pipe_gets_whole_rows_without_colours(busy: World) -> None:
    result = run_piped(busy, "aichatctl list | cat")
    assert "\x1b" not in result.stdout
    assert "https://red-chat.ai.example.org" in result.stdout
    assert "llama3.3:70b 41 %, about 6 min" in result.stdout


def test_a_reader_that_stops_reading_gets_no_traceback(busy: World) -> None:
    result = run_piped(busy, "aichatctl list | true; exit ${PIPESTATUS[0]}")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "")


@pytest.mark.parametrize("width", [60, 120])
def test_a_live_view_moves_in_place_and_ends_with_the_address(world: World, width: int) -> None:
    world.cluster.new_status = PULLING_STATUS
    screen = Screen(world, "create", "red-chat", "--wait", width=width)
    screen.wait_for("llama3.3:70b")
    assert screen.rows[-1] == "  ◐ llama3.3:70b"
    threading.Timer(0.5, lambda: world.put(team=world.team, version=500)).start()
    assert screen.end() == 0
    assert sum("model server" in row for row in screen.rows) == 1
    assert any("✓ gemma2:2b" in row for row in screen.rows)
    assert "https://red-chat.ai.example.org" in screen.rows
    assert screen.rows[-1].startswith("ask a model:")


def test_ctrl_c_leaves_a_workspace_coming_up(world: World) -> None:
    world.cluster.new_status = PULLING_STATUS
    screen = Screen(world, "create", "red-chat", "--wait")
    screen.wait_for("llama3.3:70b")
    screen.program.kill(signal.SIGINT)
    assert screen.end() == 130
    assert "`aichatctl wait red-chat` watches it" in " ".join(screen.rows)
    assert "Traceback" not in screen.raw
    assert "\x1b[?25h" in screen.raw[-800:]  # the cursor is shown again
    assert world.workspace(team=world.team) is not None


def test_ctrl_c_ends_a_watch(busy: World) -> None:
    screen = Screen(busy, "watch", width=200)
    screen.wait_for("sales-chat")
    screen.program.kill(signal.SIGINT)
    assert screen.end() == 130
    assert "Traceback" not in screen.raw


def test_a_program_that_is_ended_ends_its_forwarded_port(world: World, tmp_path: Path) -> None:
    review = '{"status": {"userInfo": {"username": "system:serviceaccount:red:ci"}}}'
    port = world.url.rpartition(":")[2]
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f"""#!/bin/sh
case "$*" in
  *whoami*) echo '{review}';;
  *"create token"*) echo {TOKEN};;
  *) echo $$ > {tmp_path}/pid; echo 'Forwarding from 127.0.0.1:{port} -> 8090'; exec sleep 300;;
esac
"""
    )
    kubectl.chmod(0o755)
    world.put()
    environment = {"AICHAT_SERVER": "", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    screen = Screen(world, "watch", width=200, **environment)
    screen.wait_for("red-chat")
    screen.program.kill(signal.SIGTERM)
    assert screen.end() == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_dumb_terminal_gets_lines(world: World) -> None:
    world.put()
    screen = Screen(world, "wait", "red-chat", TERM="dumb")
    assert screen.end() == 0
    assert "\x1b" not in screen.raw
    assert screen.rows[-1] == "red-chat is ready"
    watch = Screen(world, "watch", TERM="dumb")
    watch.wait_for("red-chat  ● Ready")
    watch.program.kill(signal.SIGINT)
    assert watch.end() == 130
    assert "\x1b" not in watch.raw


def test_a_deletion_is_done_only_after_a_yes(world: World) -> None:
    world.put()
    for answer, code in (("n", 1), ("", 1), ("y", 0)):
        screen = Screen(world, "delete", "red-chat")
        screen.wait_for("[y/N] ")
        assert world.workspace() is not None
        screen.program.sendline(answer)
        assert screen.end() == code
    assert world.workspace() is None


_BACKUP: Final = "20261201T023000Z-0f3b9c2d"


def test_a_restore_says_what_is_replaced_asks_and_follows(world: World) -> None:
    s3 = {"endpoint": "https://s3.example.org", "bucket": "backups", "secretName": "store"}
    destinations = [{"name": "offsite", "s3": s3}]
    world.put_platform(backup={"destinations": destinations, "passphraseSecretName": "phrase"})
    backups = {"state": "Done", "items": [{"name": _BACKUP, "sizeBytes": 1}]}
    world.put(status={**READY_STATUS, "backup": backups})
    refused = Screen(world, "restore", "red-chat", _BACKUP)
    refused.wait_for("[y/N] ")
    refused.program.sendline("")
    assert refused.end() == 1
    assert "restore" not in world.workspace()["spec"]

    screen = Screen(world, "restore", "red-chat", _BACKUP, "--wait", width=120)
    screen.wait_for("[y/N] ")
    assert "people and documents of red-chat" in " ".join(screen.rows)
    screen.program.sendline("y")
    screen.wait_for("the backup's data")
    restore = world.workspace()["spec"]["restore"]
    conditions = [
        condition("OpenWebUIAvailable", observedGeneration=2),
        condition("Ready", observedGeneration=2),
    ]
    status = {**READY_STATUS, "observedGeneration": 2, "conditions": conditions}
    status["restore"] = {"target": restore, "state": "Done"}
    spec = {"models": ["gemma2:2b"], "restore": restore}
    world.put(version=900, generation=2, spec=spec, status=status)
    assert screen.end() == 0
    assert any("✓ the backup's data" in row for row in screen.rows)
    assert screen.rows[-1] == "red-chat is restored"


def test_a_guided_creation_asks_only_for_what_is_missing(world: World) -> None:
    world.put()
    screen = Screen(world, "create", "--team", world.team, "--pattern", "explain_code", width=120)
    screen.wait_for("Name [")
    screen.program.sendline("Blue Chat")
    screen.wait_for("for example blue-chat")
    screen.program.sendline("blue-chat")
    screen.wait_for("1. gemma2:2b")
    screen.wait_for("Enter for none): ")
    screen.program.sendline("1 llama3.2:1b")
    assert screen.end() == 0
    assert world.workspace("blue-chat", world.team)["spec"] == {
        "workspaceName": "blue-chat",
        "models": ["gemma2:2b", "llama3.2:1b"],
        "patterns": ["explain_code"],
    }
    command = (
        f"aichatctl create blue-chat --team {world.team} --model gemma2:2b --model llama3.2:1b "
        "--pattern explain_code"
    )
    assert command in screen.raw.replace("\r\n", "")


def test_a_guided_creation_offers_size_classes_where_there_are_some(world: World) -> None:
    small = {"name": "small", "description": "A few people"}
    huge = {"name": "huge", "resources": {"ollama": {"memoryLimit": "500Gi"}}}
    world.put_platform(sizeClasses=[huge, small])
    world.put()
    arguments = ("create", "--team", world.team, "--model", "gemma2:2b", "--pattern", "p")
    for answer, class_name in (("", "small"), ("large", "small"), ("none", "")):
        name = f"chat-{class_name or 'none'}"
        screen = Screen(world, *arguments, "--dry-run", width=120)
        screen.wait_for("Name [")
        screen.program.sendline(name)
        screen.wait_for("A few people")
        screen.wait_for("Class [small]: ")
        screen.program.sendline(answer)
        if answer == "large":
            screen.wait_for("choose one of huge, small, or none")
            screen.program.sendline("small")
        screen.wait_for("The same as: ")
        screen.end()
        raw = screen.raw.replace("\r\n", "")
        option = f" --class {class_name}" if class_name else ""
        assert f"aichatctl create {name} --team {world.team}{option} --model" in raw


def test_a_conversation_remembers_what_was_said(world: World) -> None:
    world.put()
    screen = Screen(world, "prompt", "red-chat")
    screen.wait_for("> ")
    screen.program.sendline("Hello")
    screen.wait_for("Good morning")
    screen.wait_for("> ")
    screen.program.sendline("Again?")
    screen.wait_for("Good morning")
    screen.wait_for("> ")
    screen.program.sendeof()
    assert screen.end() == 0
    assert world.model.questions == [
        "Hello",
        "User: Hello\nAssistant: Good morning\nUser: Again?\nAssistant:",
    ]


def test_hostile_text_does_not_reach_the_terminal(world: World) -> None:
    world.put()
    world.model.words = ["\x1b]0;title\x07", "\x1b[2J", "end"]
    world.cluster.log = b"\x1b[31mred\x1b[0m\x1b[2J\n"
    for arguments in (("prompt", "red-chat", "Hi"), ("logs", "red-chat")):
        screen = Screen(world, *arguments)
        assert screen.end() == 0
        assert "\x1b" not in screen.raw
        assert "\x07" not in screen.raw
