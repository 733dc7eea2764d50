"""Commands for patterns: list, add, remove."""

from typing import Annotated

import typer

from aichat_workspace.cli.command import Name, Output, Team, command, default_command
from aichat_workspace.cli.commands import entries
from aichat_workspace.cli.commands.entries import EntryList
from aichat_workspace.cli.output import Format, print_result
from aichat_workspace.cli.render.lines import Span, Style, line, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.cli.session import Session

Patterns = Annotated[list[str], typer.Argument(metavar="PATTERN", help="Names of `patterns`.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="List, add and remove system prompts; list those to choose from when run bare.",
        rich_markup_mode=None,
    )
    default_command(group)(list_patterns)
    command(group, "list")(list_patterns)
    command(group, "add")(add)
    command(group, "remove")(remove)
    app.add_typer(group, name="patterns")


def list_patterns(session: Session, output: Output = Format.TABLE) -> None:
    """List the system prompts to choose from."""
    document = session.api.get("the patterns were not read", "/api/v1/patterns").document
    rows = [
        (
            Span(plain(str(pattern["name"]))),
            Span(plain(str(pattern["origin"]))),
            Span(plain(" ".join(str(pattern["prompt"]).split())), Style.FAINT),
        )
        for pattern in document["items"]
    ]
    columns = (Column("PATTERN"), Column("ORIGIN", 1), Column("PROMPT", 2, 20))
    width = session.out.width
    lines = table(columns, rows, width) if rows else [line("no patterns")]
    names = [str(pattern["name"]) for pattern in document["items"]]
    print_result(session.out, output, document, lines, names)


def add(session: Session, name: Name, patterns: Patterns, team: Team = None) -> None:
    """Add system prompts to a workspace."""
    entries.add(session, name, team, EntryList.PATTERNS, patterns)


def remove(session: Session, name: Name, patterns: Patterns, team: Team = None) -> None:
    """Remove system prompts from a workspace."""
    entries.remove(session, name, team, EntryList.PATTERNS, patterns)
