"""Wait for a workspace, with a live view on a terminal and a line for each step elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aichat_workspace.cli.client.api import Json
from aichat_workspace.cli.client.events import Event
from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.following import CHANGES, feed
from aichat_workspace.cli.render import backup_runs, bring_up
from aichat_workspace.cli.render.bring_up import BringUp, Course
from aichat_workspace.cli.render.lines import line, plain
from aichat_workspace.cli.render.workspaces import phase_of
from aichat_workspace.cli.session import Session
from aichat_workspace.cli.terminal import Terminal, rich_text

DEFAULT_SECONDS: Final = 900.0
# Long enough for what a second look mends: a node that joins, a registry that answers again.
STALLED_SECONDS: Final = 30.0
_TICK_SECONDS: Final = 0.25
Show = Callable[[BringUp, float], None]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a workspace is waited for."""

    words: str
    """As in `red-chat is not ready`."""
    is_met: Callable[[Json], bool]
    aim: str = ""
    """What `aichatctl wait --for` calls it; empty where it is what is waited for without."""
    is_deletion: bool = False
    course: Course = bring_up.COMING_UP
    """What is shown meanwhile."""
    failure: Callable[[Json], str] = lambda _: ""
    """Why it can't be met any more; empty while it can."""


READY: Final = Goal("ready", bring_up.is_ready)
CREATED: Final = Goal(
    "created", lambda document: bring_up.is_true(document, "Provisioned"), aim="created"
)
SUSPENDED: Final = Goal(
    "suspended",
    lambda document: bring_up.is_observed(document) and phase_of(document) == "Suspended",
    aim="suspended",
)
DELETED: Final = Goal("deleted", lambda _: False, aim="deleted", is_deletion=True)
MODELS: Final = Goal(
    "complete", lambda document: bring_up.is_true(document, "ModelsReady"), aim="models"
)
BACKED_UP: Final = Goal(
    "backed up",
    backup_runs.is_backed_up,
    aim="backup",
    course=backup_runs.BACKUP,
    failure=backup_runs.backup_failure,
)
RESTORED: Final = Goal(
    "restored",
    backup_runs.is_back,
    aim="restore",
    course=backup_runs.RESTORE,
    failure=backup_runs.restore_failure,
)
CLONED: Final = Goal(
    "ready",
    lambda document: bring_up.is_ready(document) and backup_runs.is_restored(document),
    course=backup_runs.CLONE,
    failure=backup_runs.restore_failure,
)


@dataclass
class _Wait:
    """The state of one wait."""

    progress: BringUp
    goal: Goal
    deadline: float
    stalled_since: float | None = None
    is_present: bool = True
    """Whether the workspace was seen since the watch last began anew."""
    is_deleted: bool = False

    @property
    def is_over(self) -> bool:
        return self.is_deleted or self.goal.is_met(self.progress.document)

    def take(self, event: Event, now: float) -> None:
        """Take an event of the watch."""
        is_same = event.data.get("uid") == self.progress.document["uid"]
        if event.kind == "reset":
            self.is_present = False
        elif event.kind == "synced":
            self.is_deleted = not self.is_present
        elif event.kind == "DELETED" and is_same:
            self.is_deleted = True
        elif event.kind in CHANGES and is_same:
            self.is_present = True
            self._observe(event.data, now)

    def _observe(self, document: Json, now: float) -> None:
        self.progress = self.progress.observe(document, now)
        if not self.goal.course.problem(document):
            self.stalled_since = None
        elif self.stalled_since is None:
            self.stalled_since = now

    def check(self, now: float) -> None:
        """Raise CliError when it has failed, is stalled for long, or when the time is over."""
        document = self.progress.document
        name, words = document["name"], self.goal.words
        if failure := self.goal.failure(document):
            raise CliError(
                f"{name} is not {words}", (plain(failure),), f"aichatctl describe {name}"
            )
        is_stalled = self.stalled_since is not None and now - self.stalled_since > STALLED_SECONDS
        if is_stalled and not self.goal.is_deletion:
            why = (
                self.goal.course.problem(document),
                f"it has been so for {STALLED_SECONDS:.0f} seconds",
            )
            raise CliError(f"{name} is not {words}", why, f"aichatctl describe {name}")
        if now >= self.deadline:
            aim = f" --for {self.goal.aim}" if self.goal.aim else ""
            raise CliError(
                f"{name} is not {words} after {now - self.progress.began:.0f} seconds",
                (f"it waits for: {bring_up.missing(self.progress)}",),
                f"aichatctl describe {name}; aichatctl wait {name}{aim} goes on waiting",
                ExitCode.TIMED_OUT,
            )


def wait(
    session: Session, document: Json, goal: Goal, seconds: float = DEFAULT_SECONDS
) -> Json | None:
    """Wait until the goal is met, and return the workspace; None once it is deleted.

    Raises CliError: TIMED_OUT, NOT_FOUND when it is deleted meanwhile, FAILED when a person has to
    act, and what the API raises.
    """
    began = time.monotonic()
    state = _Wait(bring_up.begin(document, began, goal.course), goal, began + seconds)
    name, team = document["name"], document["team"]
    with view(session.notes) as show, feed(session.api, name=name, team=team) as changes:
        show(state.progress, began)
        while not state.is_over:
            seconds_left = state.deadline - time.monotonic()
            event = changes.next_event(min(_TICK_SECONDS, seconds_left))
            now = time.monotonic()
            if event is not None:
                state.take(event, now)
            show(state.progress, now)
            if not state.is_over:
                state.check(now)
    if state.is_deleted and not goal.is_deletion:
        raise CliError(
            f"{name} is not {goal.words}",
            ("it was deleted meanwhile",),
            "aichatctl list",
            ExitCode.NOT_FOUND,
        )
    return None if state.is_deleted else state.progress.document


@contextmanager
def view(terminal: Terminal) -> Iterator[Show]:
    """Show progress until the block ends: live on a terminal, else a line for each step."""
    if not terminal.is_live:
        yield _plain_view(terminal)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(file=terminal.stream, no_color=not terminal.has_colour, highlight=False)
    with Live(console=console, auto_refresh=False, transient=False) as live:

        def show(progress: BringUp, now: float) -> None:
            lines = bring_up.live_lines(progress, now, console.width)
            live.update(rich_text(lines), refresh=True)

        yield show


def _plain_view(terminal: Terminal) -> Show:
    earlier: list[BringUp] = []

    def show(progress: BringUp, now: float) -> None:
        for text in bring_up.plain_lines(progress, earlier[-1] if earlier else None, now):
            terminal.print(line(text))
        earlier[:] = [progress]

    return show
