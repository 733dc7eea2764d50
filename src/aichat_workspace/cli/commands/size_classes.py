"""The command that lists size classes."""

import typer

from aichat_workspace.cli.command import Output, Team, command
from aichat_workspace.cli.output import Format, print_result
from aichat_workspace.cli.render.size_classes import size_class_table
from aichat_workspace.cli.session import Session


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "classes")(classes)


def classes(session: Session, team: Team = None, output: Output = Format.TABLE) -> None:
    """List the size classes to choose from.

    With --team, those of that team, and whether one more workspace fits its quota.
    """
    what = "the size classes were not read"
    document = session.api.get(what, "/api/v1/options", {"team": team}).document
    items = document["sizeClasses"]
    lines = size_class_table(items, session.out.width)
    names = [str(entry["name"]) for entry in items]
    print_result(session.out, output, {"items": items}, lines, names)
