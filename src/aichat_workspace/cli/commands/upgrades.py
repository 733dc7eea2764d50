"""Commands for upgrades: show, pause, resume."""

from typing import Final

import typer

from aichat_workspace.cli.command import DryRun, Output, command, default_command
from aichat_workspace.cli.output import Format, print_result
from aichat_workspace.cli.render.lines import line
from aichat_workspace.cli.session import Session

_PATH: Final = "/api/v1/platform/upgrades"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Pause and resume changes of workspaces' pods by the platform; run bare, show which.",
        rich_markup_mode=None,
    )
    default_command(group)(show)
    command(group, "show")(show)
    command(group, "pause")(pause)
    command(group, "resume")(resume)
    app.add_typer(group, name="upgrades")


def show(session: Session, output: Output = Format.TABLE) -> None:
    """Show whether upgrades are paused."""
    document = session.api.get("whether upgrades are paused was not read", _PATH).document
    word = "paused" if document["paused"] else "not paused"
    print_result(session.out, output, document, [line(f"upgrades are {word}")], [word])


def pause(session: Session, dry_run: DryRun = False) -> None:
    """Let no further workspace change its pods.

    Those that have begun go on.
    """
    _change(session, "pause", "paused", dry_run=dry_run)


def resume(session: Session, dry_run: DryRun = False) -> None:
    """Let workspaces change their pods again."""
    _change(session, "resume", "resumed", dry_run=dry_run)


def _change(session: Session, action: str, done: str, *, dry_run: bool) -> None:
    what = f"upgrades were not {done}"
    session.api.send(what, "POST", f"{_PATH}:{action}", query={"dryRun": dry_run})
    session.notes.say(f"upgrades {'would be' if dry_run else 'are'} {done}")
    if action == "pause" and not dry_run:
        session.notes.say("what has begun goes on; the rest waits for: aichatctl upgrades resume")
