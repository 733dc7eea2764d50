"""Commands that stop, start and delete: suspend, resume, restart, delete."""

from typing import Annotated, Final

import typer

from aichat_workspace.cli import waiting
from aichat_workspace.cli.client.api import team_path, workspace_path
from aichat_workspace.cli.command import (
    DryRun,
    Name,
    Team,
    Timeout,
    Wait,
    Yes,
    command,
    complete_name,
    seconds_of,
)
from aichat_workspace.cli.commands.following import Workload
from aichat_workspace.cli.errors import CliError, usage_error
from aichat_workspace.cli.session import Session
from aichat_workspace.cli.waiting import Goal

_DELETES: Final = "Delete {name} of team {team}, with all its chats, documents and models?"
_DONE: Final = {"suspend": "suspended", "resume": "resumed"}
_WRITTEN: Final = 202
_RETAINS: Final = "Delete {name} of team {team}? Its namespace and data are retained."
NameOrTeam = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="The workspace; all of --team when left out.",
        autocompletion=complete_name,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "suspend")(suspend)
    command(app, "resume")(resume)
    command(app, "restart")(restart)
    command(app, "delete")(delete)


def delete(
    session: Session,
    name: Name,
    team: Team = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Delete a workspace, after a question."""
    seconds = seconds_of(timeout)
    what = f"{name} was not deleted"
    current = session.api.workspace(name, team, what)
    spec = current.document["spec"]
    if not yes and not dry_run:
        question = _RETAINS if spec.get("deletionPolicy") == "Retain" else _DELETES
        session.confirm(question.format(name=name, team=current.document["team"]))
    query = {"team": current.document["team"], "dryRun": dry_run}
    answer = session.api.send(
        what, "DELETE", workspace_path(name), query=query, if_match=current.etag
    )
    session.notes.say(f"{name} {'would be' if dry_run else 'is being'} deleted")
    if wait and not dry_run:
        waiting.wait(session, answer.document, waiting.DELETED, seconds)
        session.notes.say(f"{name} is deleted")


def suspend(
    session: Session,
    name: NameOrTeam = None,
    team: Team = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Stop a workspace, or all of a team; their data stay.

    Name a workspace, or a team with --team alone."""
    if name is None:
        _act_on_team(session, team, "suspend", yes=yes, dry_run=dry_run, wait=wait)
        return
    _act(
        session,
        name,
        team,
        "suspend",
        waiting.SUSPENDED,
        dry_run=dry_run,
        wait=wait,
        timeout=timeout,
    )


def resume(
    session: Session,
    name: NameOrTeam = None,
    team: Team = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Start a suspended workspace, or all of a team, again.

    Name a workspace, or a team with --team alone."""
    if name is None:
        _act_on_team(session, team, "resume", yes=yes, dry_run=dry_run, wait=wait)
        return
    _act(session, name, team, "resume", waiting.READY, dry_run=dry_run, wait=wait, timeout=timeout)


def restart(
    session: Session,
    name: Name,
    workload: Annotated[
        Workload | None,
        typer.Option("--workload", metavar="ollama|openwebui", help="Both when left out."),
    ] = None,
    team: Team = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = "15m",
) -> None:
    """Replace the pods of a workspace; its data stay."""
    seconds = seconds_of(timeout)
    query = {"team": team, "dryRun": dry_run, "workload": workload}
    path = workspace_path(name, ":restart")
    answer = session.api.send(f"{name} was not restarted", "POST", path, query=query)
    session.notes.say(f"{name} {'would be' if dry_run else 'is being'} restarted")
    if wait and not dry_run:
        waiting.wait(session, answer.document, waiting.READY, seconds)


def _act_on_team(
    session: Session, team: str | None, action: str, *, yes: bool, dry_run: bool, wait: bool
) -> None:
    """Suspend or resume all workspaces of a team, after a question.

    Raises CliError, also where some were not changed.
    """
    if team is None or wait:
        what = "--wait needs NAME" if team else "NAME or --team is missing"
        raise usage_error(what, f"aichatctl {action} NAME, or aichatctl {action} --team TEAM")
    if not yes and not dry_run:
        session.confirm(f"{action.capitalize()} all workspaces of team {team}?")
    what = f"some workspaces of team {team} were not {_DONE[action]}"
    path = team_path(team, f":{action}")
    document = session.api.send(what, "POST", path, query={"dryRun": dry_run}).document
    items = document["items"]
    verb = "would be" if dry_run else "is"
    for item in items:
        if item["status"] == _WRITTEN:
            session.notes.say(f"{item['name']} {verb} {_DONE[action]}")
    failures = [item for item in items if item["detail"]]
    remaining = document["remaining"]
    if failures or remaining:
        why = [f"{item['name']}: {item['detail']}" for item in failures]
        why += (
            [f"{remaining} were not tried yet; the same command goes on with them"]
            if remaining
            else []
        )
        fix = f"aichatctl {action} --team {team}" if remaining else "aichatctl doctor"
        raise CliError(what, tuple(why), fix)
    if not any(item["status"] == _WRITTEN for item in items):
        session.notes.say(f"no workspace of team {team} had to be {_DONE[action]}")


def _act(
    session: Session,
    name: str,
    team: str | None,
    action: str,
    goal: Goal,
    *,
    dry_run: bool,
    wait: bool,
    timeout: str,
) -> None:
    seconds = seconds_of(timeout)
    done = _DONE[action]
    path, query = workspace_path(name, f":{action}"), {"team": team, "dryRun": dry_run}
    answer = session.api.send(f"{name} was not {done}", "POST", path, query=query)
    already = " already" if answer.status == 200 and not dry_run else ""
    session.notes.say(f"{name} {'would be' if dry_run else 'is'} {done}{already}")
    if wait and not dry_run:
        waiting.wait(session, answer.document, goal, seconds)
