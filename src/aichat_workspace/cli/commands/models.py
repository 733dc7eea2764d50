"""Commands for models: list, catalogue, add, remove, progress."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from aichat_workspace.cli import waiting
from aichat_workspace.cli.client.api import Answer, Json, is_changed_meanwhile, workspace_path
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
from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.output import Format, print_result
from aichat_workspace.cli.render.models import (
    catalogue_table,
    installed_table,
    same_model,
    usage_table,
)
from aichat_workspace.cli.session import Session

_ATTEMPTS: Final = 5
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
    rest = _change_classes(session, name, team, "POST", models)

    def added(present: list[str]) -> list[str]:
        wished = list(present)
        for model in rest:
            if not any(same_model(model, other) for other in wished):
                wished.append(model)
        return wished

    _change(session, name, team, added, wait=wait, timeout=timeout)


def remove(
    session: Session,
    name: Name,
    models: Models,
    team: Team = None,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Remove models from a workspace."""
    rest = _change_classes(session, name, team, "DELETE", models)

    def remaining(present: list[str]) -> list[str]:
        for model in rest:
            if not any(same_model(model, other) for other in present):
                raise CliError(
                    f"{name} was not changed",
                    (f"{model} is none of its models: {', '.join(present) or 'it has none'}",),
                    f"aichatctl models list {name}",
                )
        return [other for other in present if not any(same_model(model, other) for model in rest)]

    _change(session, name, team, remaining, wait=wait, timeout=timeout)


def progress(session: Session, name: Name, team: Team = None, timeout: Timeout = "2h") -> None:
    """Show downloads until all models are there."""
    seconds = seconds_of(timeout)
    document = session.api.workspace(name, team).document
    waiting.wait(session, document, waiting.MODELS, seconds)
    session.out.say(f"all models of {name} are there")


def _change(
    session: Session,
    name: str,
    team: str | None,
    change: Callable[[list[str]], list[str]],
    *,
    wait: bool,
    timeout: str,
) -> None:
    seconds = seconds_of(timeout)
    answer, models = _patch_models(session, name, team, change)
    what = "was so already" if answer.status == 200 else "was changed"
    session.notes.say(f"{name} {what}; its models: {', '.join(models) or 'none'}")
    if wait:
        waiting.wait(session, answer.document, waiting.MODELS, seconds)


def _change_classes(
    session: Session, name: str, team: str | None, method: str, models: list[str]
) -> list[str]:
    """Have the API make a workspace's own list of its size class's models, with the first change.

    Return what is still to change: everything where the workspace has a list of its own.
    """
    what = f"{name} was not changed"
    spec = session.api.workspace(name, team, what).document["spec"]
    if not spec.get("className") or spec.get("models"):
        return models
    first, *rest = models
    is_added = method == "POST"
    path = workspace_path(name, "/models" if is_added else f"/models/{first}")
    body = {"name": first} if is_added else None
    session.api.send(what, method, path, query={"team": team}, body=body)
    return rest


def _patch_models(
    session: Session, name: str, team: str | None, change: Callable[[list[str]], list[str]]
) -> tuple[Answer, list[str]]:
    """Change the list as it is now: read again whenever another change came first."""
    what = f"{name} was not changed"
    for attempt in range(1, _ATTEMPTS + 1):
        current = session.api.workspace(name, team, what)
        models = change(list(current.document["spec"].get("models") or ()))
        body: Json = {"spec": {"models": models}}
        query: dict[str, Any] = {"team": team}
        try:
            answer = session.api.send(
                what, "PATCH", workspace_path(name), query=query, body=body, if_match=current.etag
            )
        except CliError as error:
            if attempt == _ATTEMPTS or not is_changed_meanwhile(error):
                raise
        else:
            return answer, models
    raise AssertionError("the last attempt returns or raises")
