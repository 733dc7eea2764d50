"""Commands that follow: wait, watch, logs."""

import json
import queue
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

import typer

from aichat_workspace.cli import following, waiting
from aichat_workspace.cli.client.api import Api, Json, workspace_path
from aichat_workspace.cli.command import Name, Output, Team, Timeout, command, seconds_of
from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.output import Format
from aichat_workspace.cli.render.lines import Line, line, plain
from aichat_workspace.cli.render.workspaces import hint, state, workspace_table
from aichat_workspace.cli.session import Session
from aichat_workspace.cli.terminal import Terminal, rich_text

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_TICK_SECONDS: Final = 1.0
LogQuery = dict[str, str | int | bool | None]


class Aim(StrEnum):
    """What to wait for."""

    READY = "ready"
    CREATED = "created"
    MODELS = "models"
    BACKUP = "backup"
    RESTORE = "restore"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class Workload(StrEnum):
    """A workload of a workspace."""

    OLLAMA = "ollama"
    OPENWEBUI = "openwebui"


_GOALS: Final = {
    Aim.READY: waiting.READY,
    Aim.CREATED: waiting.CREATED,
    Aim.MODELS: waiting.MODELS,
    Aim.BACKUP: waiting.BACKED_UP,
    Aim.RESTORE: waiting.RESTORED,
    Aim.SUSPENDED: waiting.SUSPENDED,
    Aim.DELETED: waiting.DELETED,
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "wait")(wait)
    command(app, "watch")(watch)
    command(app, "logs")(logs)


def wait(
    session: Session,
    name: Name,
    team: Team = None,
    aim: Annotated[Aim, typer.Option("--for", help="What to wait for.")] = Aim.READY,
    timeout: Timeout = "15m",
) -> None:
    """Wait until a workspace is ready.

    --for names what else to wait for. It exits with 5 when the time is over.
    """
    seconds = seconds_of(timeout)
    goal = _GOALS[aim]
    try:
        document = session.api.workspace(name, team, f"{name} is not {goal.words}").document
    except CliError as error:
        if goal.is_deletion and error.code is ExitCode.NOT_FOUND:
            session.out.say(f"{name} is deleted")
            return
        raise
    waiting.wait(session, document, goal, seconds)
    session.out.say(f"{name} is {goal.words}")


def watch(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this workspace.")] = None,
    team: Team = None,
    output: Output = Format.TABLE,
) -> None:
    """Show workspaces as they change."""
    if session.out.is_live and output in (Format.TABLE, Format.WIDE):
        _watch_live(session, name, team, wide=output is Format.WIDE)
        return
    for event in following.watch(session.api, name=name, team=team):
        if event.kind not in following.CHANGES:
            continue
        if output.is_document:
            session.out.say(json.dumps({"type": event.kind, "workspace": event.data}))
        elif output is Format.NAME:
            session.out.say(str(event.data["name"]))
        else:
            session.out.print(change_line(event.kind, event.data))


def change_line(kind: str, document: Json) -> Line:
    """Return a change as one line."""
    words = ("DELETED" if kind == "DELETED" else state(document).text, plain(hint(document)))
    name = plain(str(document["name"]))
    return line("  ".join(word for word in (name, *words) if word))


def _watch_live(session: Session, name: str | None, team: str | None, *, wide: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    has_colour = session.out.has_colour
    console = Console(file=session.out.stream, no_color=not has_colour, highlight=False)
    documents: dict[str, Json] = {}
    with (
        Live(console=console, auto_refresh=False) as live,
        following.feed(session.api, name=name, team=team) as changes,
    ):
        while True:
            event = changes.next_event(_TICK_SECONDS)
            if event is not None and event.kind == "reset":
                documents.clear()
            elif event is not None and event.kind in following.CHANGES:
                documents = changed(documents, event.kind, event.data)
            newest = sorted(documents.values(), key=lambda document: str(document["name"]))
            lines = workspace_table(newest, datetime.now(UTC), console.width, wide=wide)
            live.update(rich_text(lines), refresh=True)


def changed(documents: dict[str, Json], kind: str, document: Json) -> dict[str, Json]:
    """Return the workspaces by their UIDs after a change."""
    uid = str(document["uid"])
    others = {key: value for key, value in documents.items() if key != uid}
    return others if kind == "DELETED" else {**others, uid: document}


def logs(
    session: Session,
    name: Name,
    workload: Annotated[
        Workload | None, typer.Argument(metavar="ollama|openwebui", help="Both when left out.")
    ] = None,
    team: Team = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they grow.")] = False,
    tail: Annotated[
        int, typer.Option("--tail", min=1, max=10_000, help="Lines from the end.")
    ] = 200,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only what is younger, as 10m.")
    ] = None,
    previous: Annotated[
        bool, typer.Option("--previous", help="Of the container before its restart.")
    ] = False,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Begin each line with its time.")
    ] = False,
) -> None:
    """Show the logs of model server and chat."""
    query: LogQuery = {
        "team": team,
        "tail": tail,
        "follow": follow,
        "previous": previous,
        "timestamps": timestamps,
        "sinceSeconds": max(int(seconds_of(since)), 1) if since else None,
    }
    workloads = [workload] if workload else list(Workload)
    for prefix, text in _log_lines(session, name, workloads, query):
        shown = f"{prefix} | {text}" if len(workloads) > 1 else text
        session.out.write(f"{for_output(shown, session.out)}\n")


def for_output(text: str, out: Terminal) -> str:
    """Return a log's line: on a terminal without what it would obey, else as it is."""
    return plain(_COLOURS.sub("", text)) if out.is_terminal else text


def _log_lines(
    session: Session, name: str, workloads: list[Workload], query: LogQuery
) -> Iterator[tuple[str, str]]:
    """Yield workload and line: one log after the other, or side by side when they are followed."""
    if query["follow"] and len(workloads) > 1:
        yield from _side_by_side(
            [_lines_of(session.api, name, workload, query) for workload in workloads]
        )
        return
    for workload in workloads:
        yield from _lines_of(session.api, name, workload, query)


def _side_by_side(logs: list[Iterator[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    """Yield the lines of several logs as they come. Raises the CliError of any, in the end."""
    items: queue.SimpleQueue[tuple[str, str] | CliError | None] = queue.SimpleQueue()

    def read(log: Iterator[tuple[str, str]]) -> None:
        try:
            for pair in log:
                items.put(pair)
            items.put(None)
        except CliError as error:
            items.put(error)

    for log in logs:
        threading.Thread(target=read, args=(log,), daemon=True).start()
    ends: list[CliError | None] = []
    while len(ends) < len(logs):
        item = items.get()
        if isinstance(item, tuple):
            yield item
        else:
            ends.append(item)
    for error in filter(None, ends):
        raise error


def _lines_of(
    api: Api, name: str, workload: Workload, query: LogQuery
) -> Iterator[tuple[str, str]]:
    path = workspace_path(name, f"/logs/{workload}")
    rest = ""
    for chunk in api.chunks(f"the log of {name} was not read", path, query):
        *whole, rest = (rest + chunk).split("\n")
        for text in whole:
            yield str(workload), text
    if rest:
        yield str(workload), rest
