"""Commands for backups: backup, backups, restore, clone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from aichat_workspace.cli import waiting
from aichat_workspace.cli.client.api import Answer, workspace_path
from aichat_workspace.cli.command import (
    DryRun,
    Name,
    Output,
    Team,
    Timeout,
    Wait,
    Yes,
    command,
    seconds_of,
)
from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.output import Format, print_result
from aichat_workspace.cli.render.backups import backup_table
from aichat_workspace.cli.render.workspaces import record_of
from aichat_workspace.cli.session import Session

_REPLACES: Final = (
    "Replace the chats, people and documents of {name} of team {team} by those of {what}? The chat "
    "stops meanwhile."
)


def complete_backup(invocation: typer.Context, incomplete: str) -> list[str]:
    """Return the workspace's backups whose names begin so; none where the API does not answer."""
    name, team = (invocation.params.get(option) for option in ("source", "team"))
    name = name or invocation.params.get("name")
    if not name:
        return []
    try:
        with Session() as session:
            document = session.api.workspace(str(name), team).document
    except CliError:
        return []
    names = (str(backup["name"]) for backup in record_of(document).get("items") or ())
    return [backup for backup in names if backup.startswith(incomplete)]


@contextmanager
def _hint(session: Session, text: str, watch: str) -> Iterator[None]:
    """Say at Ctrl-C that only the wait ends, and how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        session.notes.say(f"\n{text}; `aichatctl {watch}` watches it.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


Unlisted = Annotated[
    bool,
    typer.Option("--unlisted", help="Take one that the list does not have, as an older one."),
]
FromDestination = Annotated[
    str | None,
    typer.Option(
        "--from-destination",
        metavar="DESTINATION",
        help="The platform's destination that it is in, where that is not the list's.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "backup")(backup)
    command(app, "backups")(backups)
    command(app, "restore")(restore)
    command(app, "clone")(clone)


def backup(
    session: Session,
    name: Name,
    request: Annotated[
        str | None,
        typer.Option(
            "--request",
            metavar="TEXT",
            help="Any text, as a date: the same one again makes no second backup.",
        ),
    ] = None,
    team: Team = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Back a workspace up now; the chat runs on.

    The newest `backup.keep` stay, of scheduled and requested ones alike.
    """
    seconds = seconds_of(timeout)
    what, query = f"{name} was not backed up", {"team": team, "dryRun": dry_run}
    body = {"request": request} if request else None
    path = workspace_path(name, ":backup")
    answer = session.api.send(what, "POST", path, query=query, body=body)
    session.notes.say(f"{name} {'would be' if dry_run else 'is being'} backed up")
    if wait and not dry_run:
        with _hint(session, f"the backup of {name} goes on", f"wait {name} --for backup"):
            document = waiting.wait(session, answer.document, waiting.BACKED_UP, seconds)
        entries = record_of(document or {}).get("items") or ()
        for entry in entries[:1]:
            session.out.say(str(entry["name"]))


def backups(session: Session, name: Name, team: Team = None, output: Output = Format.TABLE) -> None:
    """List the backups of a workspace, the newest first."""
    what = f"the backups of {name} were not read"
    document = session.api.get(what, workspace_path(name, "/backups"), {"team": team}).document
    wide, now = output is Format.WIDE, datetime.now(UTC)
    lines = backup_table(document, now, session.out.width, wide=wide)
    names = [str(entry["name"]) for entry in document["items"]]
    print_result(session.out, output, document, lines, names)


def restore(
    session: Session,
    name: Name,
    backup: Annotated[
        str,
        typer.Argument(
            metavar="BACKUP",
            help="Its name, as `aichatctl backups NAME` lists it.",
            autocompletion=complete_backup,
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="WORKSPACE", help="Another workspace of the team, whose it is."
        ),
    ] = None,
    from_destination: FromDestination = None,
    unlisted: Unlisted = False,
    team: Team = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Replace a chat's data by a backup's, after a question.

    The chat stops meanwhile. The workspace's spec stays as it is.
    """
    seconds = seconds_of(timeout)
    what = f"{name} was not restored"
    current = session.api.workspace(name, team, what)
    team = current.document["team"]
    body: dict[str, Any] = {"backup": backup, "unlisted": unlisted}
    body |= {"source": source} if source else {}
    body |= {"destination": from_destination} if from_destination else {}

    def send(*, dry_run: bool) -> Answer:
        return session.api.send(
            what,
            "POST",
            workspace_path(name, ":restore"),
            query={"team": team, "dryRun": dry_run},
            body=body,
            if_match=current.etag,
        )

    if not yes and not dry_run:
        send(dry_run=True)  # nobody is asked about what can't be done
        origin = f"backup {backup}" + (f" of {source}" if source else "")
        origin += f" from {from_destination}" if from_destination else ""
        session.confirm(_REPLACES.format(name=name, team=team, what=origin))
    answer = send(dry_run=dry_run)
    session.notes.say(f"{name} {'would be' if dry_run else 'is being'} restored")
    if wait and not dry_run:
        with _hint(session, f"the restore of {name} goes on", f"wait {name} --for restore"):
            waiting.wait(session, answer.document, waiting.RESTORED, seconds)
        session.notes.say(f"{name} is restored")


def clone(
    session: Session,
    name: Name,
    new_name: Annotated[
        str, typer.Argument(metavar="NEW", help="The name of the workspace to make.")
    ],
    backup: Annotated[
        str | None,
        typer.Option(
            "--backup",
            metavar="BACKUP",
            help="What it begins with; the newest when left out.",
            autocompletion=complete_backup,
        ),
    ] = None,
    from_destination: FromDestination = None,
    unlisted: Unlisted = False,
    team: Team = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Make a workspace with the spec and a backup of another.

    Its host, keys and first administrator are its own.
    """
    seconds = seconds_of(timeout)
    body: dict[str, Any] = {"name": new_name, "unlisted": unlisted}
    body |= {"backup": backup} if backup else {}
    body |= {"destination": from_destination} if from_destination else {}
    answer = session.api.send(
        f"{new_name} was not created",
        "POST",
        workspace_path(name, ":clone"),
        query={"team": team, "dryRun": dry_run},
        body=body,
    )
    document = answer.document
    origin = f"from backup {document['spec']['restore']['backup']} of {name}"
    verb = "would be" if dry_run else "is being" if answer.status == 201 else "was already"
    session.notes.say(f"{new_name} {verb} created {origin}")
    if dry_run:
        return
    if not wait:
        session.notes.say(f"aichatctl wait {new_name}")
        return
    with _hint(session, f"{new_name} goes on coming up", f"wait {new_name}"):
        ready = waiting.wait(session, document, waiting.CLONED, seconds) or {}
    session.out.say(str((ready.get("status") or {}).get("url") or f"{new_name} is ready"))
    session.notes.say(f"sign in with: aichatctl credentials {new_name}")
