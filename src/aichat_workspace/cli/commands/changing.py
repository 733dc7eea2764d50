"""Commands that write specs: create, apply, edit."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from aichat_workspace.cli import editor, guide, waiting
from aichat_workspace.cli.client.api import WORKSPACES, Answer, Json, workspace_path
from aichat_workspace.cli.command import (
    DryRun,
    Name,
    Output,
    Team,
    Timeout,
    Wait,
    command,
    seconds_of,
)
from aichat_workspace.cli.errors import CliError, ExitCode, usage_error
from aichat_workspace.cli.guide import Wish
from aichat_workspace.cli.output import Format, print_document
from aichat_workspace.cli.render.lines import line
from aichat_workspace.cli.session import Session
from aichat_workspace.cli.spec import assignments, manifests, metadata_fields, with_values

Models = Annotated[
    list[str], typer.Option("--model", "-m", metavar="MODEL", help="A model; may be repeated.")
]
Patterns = Annotated[
    list[str],
    typer.Option("--pattern", "-p", metavar="PATTERN", help="A system prompt; may be repeated."),
]
Values = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="PATH=VALUE", help="A field of the spec, as storage.ollama.size=40Gi."
    ),
]
ClassName = Annotated[
    str | None,
    typer.Option("--class", metavar="NAME", help="A size class; `aichatctl classes` lists them."),
]
ModelsVolume = Annotated[
    str | None,
    typer.Option("--models-volume", metavar="SIZE", help="Size of the models' volume, as 40Gi."),
]
DisplayName = Annotated[
    str | None, typer.Option("--display-name", metavar="TEXT", help="What people call it.")
]
Description = Annotated[
    str | None, typer.Option("--description", metavar="TEXT", help="What it is for.")
]
Labels = Annotated[
    list[str],
    typer.Option(
        "--label", "-l", metavar="KEY=VALUE", help="A label; KEY- takes it off; may be repeated."
    ),
]
CostCentre = Annotated[
    str | None, typer.Option("--cost-centre", metavar="NAME", help="Who pays for it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "create")(create)
    command(app, "apply")(apply)
    command(app, "edit")(edit)


def create(
    session: Session,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Its name; leave it out to be guided.")
    ] = None,
    team: Team = None,
    class_name: ClassName = None,
    model: Models = [],
    pattern: Patterns = [],
    models_volume: ModelsVolume = None,
    display_name: DisplayName = None,
    description: Description = None,
    label: Labels = [],
    cost_centre: CostCentre = None,
    values: Values = [],
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = "15m",
    output: Output = Format.TABLE,
) -> None:
    """Create a workspace.

    Without NAME, on a terminal, it asks for what is missing.
    """
    seconds = seconds_of(timeout)
    wish = Wish(name or "", team, tuple(model), tuple(pattern), class_name)
    if name is None:
        if not session.is_interactive:
            raise usage_error("NAME is missing", "aichatctl create NAME --model MODEL")
        wish = guide.complete(session, wish)
    metadata = metadata_fields(display_name, description, label, cost_centre)
    body = {"spec": wish.spec | _values(values, models_volume) | metadata} | (
        {"team": wish.team} if wish.team else {}
    )
    what = f"{wish.name} was not created"
    answer = session.api.send(what, "POST", WORKSPACES, query={"dryRun": dry_run}, body=body)
    document = answer.document
    if dry_run:
        _report(session, output, document, f"{wish.name} would be created")
        return
    verb = "is being created" if answer.status == 201 else "was there already, as asked for"
    session.notes.print(line(f"{wish.name} in team {document['team']} {verb}"))
    if not wait:
        _report(session, output, document, "", f"aichatctl wait {wish.name}")
        return
    _await_ready(session, document, seconds, output)


def _values(values: list[str], models_volume: str | None) -> Json:
    pairs = assignments(values)
    if models_volume:
        pairs.append(("storage.ollama.size", models_volume))
    return with_values({}, pairs)


def _await_ready(session: Session, document: Json, seconds: float, output: Format) -> None:
    name = document["name"]
    try:
        ready = waiting.wait(session, document, waiting.READY, seconds)
    except KeyboardInterrupt:
        session.notes.say(f"\n{name} goes on coming up; `aichatctl wait {name}` watches it.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    assert ready is not None  # noqa: S101  (only a deletion ends without one)
    if output in (Format.TABLE, Format.WIDE):
        url = (ready.get("status") or {}).get("url")
        session.out.say(str(url or f"{name} is ready"))
        session.notes.say(f"sign in with: aichatctl credentials {name}")
        session.notes.say(f"ask a model:  aichatctl prompt {name} 'Good morning'")
        return
    _report(session, output, ready, "")


def apply(
    session: Session,
    file: Annotated[
        Path,
        typer.Option("--file", "-f", metavar="FILE", help="A YAML file; - for standard input."),
    ],
    team: Team = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Create or change the workspaces of a file."""
    seconds = seconds_of(timeout)
    is_stdin = str(file) == "-"
    try:
        text = sys.stdin.read() if is_stdin else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} was not read", (str(error),), code=ExitCode.USAGE) from None
    documents = manifests(text, "standard input" if is_stdin else str(file))
    applied = [
        _apply(session, document, team or document["team"], dry_run=dry_run)
        for document in documents
    ]
    for document in applied if wait and not dry_run else ():
        goal = waiting.SUSPENDED if document["spec"].get("suspended") else waiting.READY
        waiting.wait(session, document, goal, seconds)


def _apply(session: Session, document: Json, team: str | None, *, dry_run: bool) -> Json:
    """Create the workspace, or replace its spec if no one changes it meanwhile."""
    name, spec = document["name"], document["spec"]
    what = f"{name} was not applied"
    current = _read_if_present(session, name, team)
    query: dict[str, Any] = {"dryRun": dry_run}
    if current is None:
        body = {"spec": spec} | ({"team": team} if team else {})
        answer = session.api.send(what, "POST", WORKSPACES, query=query, body=body)
        verb = "created"
        if document["unsent"]:
            session.notes.say(f"not sent, set it with kubectl: {', '.join(document['unsent'])}")
    else:
        query["team"] = team
        path, body = workspace_path(name), {"spec": spec}
        answer = session.api.send(what, "PUT", path, query=query, body=body, if_match=current.etag)
        verb = "unchanged" if answer.status == 200 and not dry_run else "changed"
    session.out.say(f"{name} {verb}{' (dry run)' if dry_run else ''}")
    return answer.document


def _read_if_present(session: Session, name: str, team: str | None) -> Answer | None:
    try:
        return session.api.workspace(name, team)
    except CliError as error:
        if error.code is ExitCode.NOT_FOUND:
            return None
        raise


def edit(
    session: Session,
    name: Name,
    team: Team = None,
    class_name: ClassName = None,
    models_volume: ModelsVolume = None,
    display_name: DisplayName = None,
    description: Description = None,
    label: Labels = [],
    cost_centre: CostCentre = None,
    values: Values = [],
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Change a workspace's spec.

    By options, or without any in your editor ($VISUAL or $EDITOR).
    """
    metadata = metadata_fields(display_name, description, label, cost_centre)
    size_class = {"className": class_name} if class_name else {}
    changes = _values(values, models_volume) | metadata | size_class
    what = f"{name} was not changed"
    query = {"team": team, "dryRun": dry_run}
    path = workspace_path(name)
    if changes:
        answer = session.api.send(what, "PATCH", path, query=query, body={"spec": changes})
        _report_change(session, output, answer, name, dry_run=dry_run)
        return
    current = session.api.workspace(name, team, what)
    with editor.edited(name, current.document["spec"], session.environment) as spec:
        if spec is None:
            session.notes.say(f"{name} was not changed: the text is the same")
            return
        answer = session.api.send(
            what, "PUT", path, query=query, body={"spec": spec}, if_match=current.etag
        )
    _report_change(session, output, answer, name, dry_run=dry_run)


def _report_change(
    session: Session, output: Format, answer: Answer, name: str, *, dry_run: bool
) -> None:
    verb = "would be changed" if dry_run else "was changed"
    if answer.status == 200 and not dry_run:
        verb = "was so already"
    _report(session, output, answer.document, f"{name} {verb}")


def _report(
    session: Session, output: Format, document: Json, sentence: str, hint: str = ""
) -> None:
    """Print a changed workspace as a document or name, or say what was done."""
    if output.is_document:
        print_document(session.out, output, document)
    elif output is Format.NAME:
        session.out.say(str(document["name"]))
    elif sentence:
        session.out.say(sentence)
    if hint and not output.is_document:
        session.notes.say(f"next: {hint}")
