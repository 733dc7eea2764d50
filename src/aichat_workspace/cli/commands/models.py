"""Commands for models: list, catalogue, add, remove, progress."""

from typing import Annotated

import typer

from aichat_workspace.cli import waiting
from aichat_workspace.cli.client.api import workspace_path
from aichat_workspace.cli.command import (
    Name,
    Output,
    Team,
    Timeout,
    Wait,
    command,
    complete_name,
    seconds_of,
)
from aichat_workspace.cli.commands import entries
from aichat_workspace.cli.commands.entries import EntryList
from aichat_workspace.cli.output import Format, print_result
from aichat_workspace.cli.render.models import (
    catalogue_table,
    installed_table,
    usage_table,
)
from aichat_workspace.cli.session import Session

Models = Annotated[list[str], typer.Argument(metavar="MODEL", help="Ollama's names.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="List, add and remove models.", no_args_is_help=True, rich_markup_mode=None
    )
    command(group, "list")(list_models)
    command(group, "catalogue")(catalogue)
    command(group, "add")(add)
    command(group, "remove")(remove)
    command(group, "progress")(progress)
    app.add_typer(group, name="models")


def list_models(
    session: Session,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A workspace; all when left out.")
    ] = None,
    team: Team = None,
    output: Output = Format.TABLE,
) -> None:
    """List the models of a workspace, or those in use anywhere."""
    width = session.out.width
    if name is None:
        document = session.api.get("the models were not read", "/api/v1/models").document
        models = [str(model["name"]) for model in document["inUse"]]
        print_result(session.out, output, document, usage_table(document, width), models)
        return
    workspace = session.api.workspace(name, team).document
    path = workspace_path(name, "/models")
    what = f"the models of {name} were not read"
    document = session.api.get(what, path, {"team": team}).document
    models = [str(model["name"]) for model in document["items"]]
    lines = installed_table(document["items"], workspace, width)
    print_result(session.out, output, document, lines, models)


def catalogue(
    session: Session,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Say what fits this workspace.",
            autocompletion=complete_name,
        ),
    ] = None,
    team: Team = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="SIZE", help="Say what fits this memory limit, as 8Gi."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="SIZE", help="Say what fits a volume of this size."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List models to choose from, and whether they fit."""
    query = {"workspace": name, "team": team, "memory": memory, "storage": storage}
    document = session.api.get("the catalogue was not read", "/api/v1/catalogue", query).document
    has_room = any((name, memory, storage))
    lines = catalogue_table(document, session.out.width, has_room=has_room)
    models = [str(model["name"]) for model in document["items"]]
    print_result(session.out, output, document, lines, models)


def add(
    session: Session,
    name: Name,
    models: Models,
    team: Team = None,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Add models to a workspace."""
    seconds = seconds_of(timeout)
    answer = entries.add(session, name, team, EntryList.MODELS, models)
    if wait:
        waiting.wait(session, answer.document, waiting.MODELS, seconds)


def remove(
    session: Session,
    name: Name,
    models: Models,
    team: Team = None,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Remove models from a workspace."""
    seconds = seconds_of(timeout)
    answer = entries.remove(session, name, team, EntryList.MODELS, models)
    if wait:
        waiting.wait(session, answer.document, waiting.MODELS, seconds)


def progress(session: Session, name: Name, team: Team = None, timeout: Timeout = "2h") -> None:
    """Show downloads until all models are there."""
    seconds = seconds_of(timeout)
    document = session.api.workspace(name, team).document
    waiting.wait(session, document, waiting.MODELS, seconds)
    session.out.say(f"all models of {name} are there")
