"""Commands that read: list, get, describe, events, history, usage."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from aichat_workspace.cli.client.api import team_path, workspace_path
from aichat_workspace.cli.command import Name, Output, Team, command, complete_name
from aichat_workspace.cli.errors import usage_error
from aichat_workspace.cli.output import Format, print_document, print_result
from aichat_workspace.cli.render.description import describe, event_table
from aichat_workspace.cli.render.history import history_table
from aichat_workspace.cli.render.usage import platform_usage, team_usage, workspace_usage
from aichat_workspace.cli.render.workspaces import workspace_table
from aichat_workspace.cli.session import Session

_USAGE: Final = "aichatctl usage"
_AGO: Final = re.compile(r"([0-9]{1,4})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "list")(list_workspaces)
    command(app, "get")(get)
    command(app, "describe")(describe_workspace)
    command(app, "events")(events)
    command(app, "history")(history)
    command(app, "usage")(usage)


def list_workspaces(
    session: Session,
    team: Team = None,
    phase: Annotated[
        str | None, typer.Option("--phase", metavar="PHASE", help="Only in this phase, as Ready.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="USER", help="Only what this user asked for.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            "--search",
            "-q",
            metavar="TEXT",
            help="Only with TEXT in name, display name, team or URL.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", "-l", metavar="SELECTOR", help="Only with labels, as stage=prod,!old."
        ),
    ] = None,
    cost_centre: Annotated[
        str | None,
        typer.Option("--cost-centre", metavar="NAME", help="Only with this cost centre."),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option("--condition", metavar="TYPE=STATUS", help="Only with it, as UpToDate=False."),
    ] = None,
    idle_since: Annotated[
        str | None,
        typer.Option(
            "--idle-since",
            metavar="WHEN",
            help="Only what nobody has used since: 30d, 12h or 2026-11-01.",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="FIELD",
            help="name, team, created, phase or usedAt; -created the other way.",
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List the workspaces that you may see."""
    query = {
        "team": team,
        "phase": phase,
        "owner": owner,
        "q": search,
        "label": label,
        "costCentre": cost_centre,
        "condition": condition,
        "idleSince": _moment(idle_since, datetime.now(UTC)) if idle_since else None,
        "sort": sort,
    }
    documents = session.api.workspaces(query)
    wide = output is Format.WIDE
    lines = workspace_table(documents, datetime.now(UTC), session.out.width, wide=wide)
    names = [str(document["name"]) for document in documents]
    print_result(session.out, output, {"items": documents}, lines, names)


def _moment(text: str, now: datetime) -> str:
    """Return the time that is so long ago, or that a date says; without a zone it is UTC."""
    if match := _AGO.fullmatch(text):
        return _rfc3339(now - timedelta(**{_UNITS[match[2]]: int(match[1])}))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time; write 30d, 12h, 45m or a date as 2026-11-01"
        raise usage_error(message, "aichatctl list --idle-since 30d") from None
    return _rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def get(session: Session, name: Name, team: Team = None, output: Output = Format.TABLE) -> None:
    """Show one workspace."""
    document = session.api.workspace(name, team).document
    wide = output is Format.WIDE
    lines = workspace_table([document], datetime.now(UTC), session.out.width, wide=wide)
    print_result(session.out, output, document, lines, [str(document["name"])])


def describe_workspace(
    session: Session, name: Name, team: Team = None, output: Output = Format.TABLE
) -> None:
    """Report why a workspace is or is not ready."""
    document = session.api.workspace(name, team).document
    query, what = {"team": team}, f"{name} was not described"
    diagnosis = session.api.get(what, workspace_path(name, "/diagnosis"), query).document
    events, history = (
        session.api.get(what, workspace_path(name, f"/{part}"), query).document["items"]
        for part in ("events", "history")
    )
    if output.is_document:
        report = {"workspace": document, "diagnosis": diagnosis}
        print_document(session.out, output, {**report, "events": events, "history": history})
        return
    now = datetime.now(UTC)
    session.out.print(*describe(document, diagnosis, events, history, now, session.out.width))


def events(session: Session, name: Name, team: Team = None, output: Output = Format.TABLE) -> None:
    """Show what happened to a workspace, the newest last."""
    path = workspace_path(name, "/events")
    document = session.api.get(f"the events of {name} were not read", path, {"team": team}).document
    oldest_first = list(reversed(document["items"]))
    lines = event_table(oldest_first, datetime.now(UTC), session.out.width)
    names = [str(event["object"]) for event in oldest_first]
    print_result(session.out, output, document, lines, names)


def history(session: Session, name: Name, team: Team = None, output: Output = Format.TABLE) -> None:
    """Show who changed a workspace, the newest last.

    Changes by kubectl or GitOps have the name of their field manager.
    """
    path = workspace_path(name, "/history")
    what = f"the history of {name} was not read"
    document = session.api.get(what, path, {"team": team}).document
    oldest_first = list(reversed(document["items"]))
    wide, now = output is Format.WIDE, datetime.now(UTC)
    lines = history_table(oldest_first, now, session.out.width, wide=wide)
    names = [str(entry["user"] or entry["manager"]) for entry in oldest_first]
    print_result(session.out, output, document, lines, names)


def usage(
    session: Session,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The workspace.", autocompletion=complete_name),
    ] = None,
    team: Team = None,
    platform: Annotated[bool, typer.Option("--platform", help="Of all teams.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show what a workspace, a team or the platform uses."""
    wide, width = output is Format.WIDE, session.out.width
    what = "the usage was not read"
    if platform:
        if name or team:
            raise usage_error("--platform is of all teams, and not of one", f"{_USAGE} --platform")
        document = session.api.get(what, "/api/v1/platform/usage").document
        lines = platform_usage(document, width, wide=wide)
        names = [str(entry["team"]) for entry in document["teams"]]
    elif name:
        document = session.api.get(what, workspace_path(name, "/usage"), {"team": team}).document
        lines, names = workspace_usage(document, datetime.now(UTC), width, wide=wide), [name]
    elif team:
        document = session.api.get(what, team_path(team, "/usage")).document
        lines, names = team_usage(document, width, wide=wide), [team]
    else:
        raise usage_error("name a workspace, --team or --platform", f"{_USAGE} NAME")
    print_result(session.out, output, document, lines, names)
