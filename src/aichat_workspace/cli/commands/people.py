"""Commands for people and scripts: members, invite, invite-to-chat, tokens."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer

from aichat_workspace.cli.client.api import Json, team_path, workspace_path
from aichat_workspace.cli.command import DryRun, Name, Output, Team, Yes, command, seconds_of
from aichat_workspace.cli.errors import usage_error
from aichat_workspace.cli.output import Format, print_document, print_result
from aichat_workspace.cli.render.lines import plain
from aichat_workspace.cli.render.people import KINDS, member_table, sign_in_lines, token_table
from aichat_workspace.cli.session import Session
from aichat_workspace.domain import names


class Role(StrEnum):
    """The roles that are given; each can do all that the one before can."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class Kind(StrEnum):
    """What a member is, as the option --kind says it."""

    USER = "user"
    GROUP = "group"
    SERVICE_ACCOUNT = "service-account"


class ChatRole(StrEnum):
    """The roles of accounts in a chat."""

    USER = "user"
    ADMIN = "admin"


Member = Annotated[
    str,
    typer.Argument(metavar="MEMBER", help="The name in the cluster, as `login` tells it."),
]
MemberKind = Annotated[
    Kind, typer.Option("--kind", help="What it is; a service account is one of the team's own.")
]
GivenRole = Annotated[
    Role,
    typer.Option(
        "--role", help="viewer reads, editor runs and asks, admin reads credentials, too."
    ),
]
TokenName = Annotated[str, typer.Argument(metavar="NAME", help="What it is for, as ci.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    members = typer.Typer(
        help="List, invite and remove a team's members.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    command(members, "list")(list_members)
    command(members, "invite")(invite)
    command(members, "remove")(remove)
    app.add_typer(members, name="members")
    command(app, "invite")(invite)
    command(app, "invite-to-chat")(invite_to_chat)
    tokens = typer.Typer(
        help="Make, list and revoke tokens of a team's scripts.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    command(tokens, "list")(list_tokens)
    command(tokens, "create")(create_token)
    command(tokens, "revoke")(revoke)
    app.add_typer(tokens, name="tokens")


def list_members(session: Session, team: Team = None, output: Output = Format.TABLE) -> None:
    """List who may do what with a team's workspaces."""
    namespace = _chosen_team(session, team)
    path = _path(namespace, "members")
    document = session.api.get("the members were not listed", path).document
    members = document["items"]
    lines = member_table(namespace, members, datetime.now(UTC), session.out.width)
    print_result(session.out, output, document, lines, [str(member["name"]) for member in members])
    if not document["complete"]:
        session.notes.say("there are more; kubectl get rolebindings lists them all")


def invite(
    session: Session,
    member: Member,
    role: GivenRole,
    kind: MemberKind = Kind.USER,
    team: Team = None,
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Give somebody a role in a team.

    It takes the place of another that was given here.
    """
    namespace = _chosen_team(session, team)
    body: Json = {"kind": KINDS[kind.value], "name": member, "role": role.value}
    what, query = f"{plain(member)} was not invited", {"dryRun": dry_run}
    path = _path(namespace, "members")
    answer = session.api.send(what, "POST", path, query=query, body=body)
    verb = "would be" if dry_run else "is"
    sentence = f"{plain(member)} {verb} {role.value} in team {namespace}"
    _report(session, output, answer.document, sentence)


def invite_to_chat(
    session: Session,
    workspace: Name,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address to sign in with.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="What the chat calls the person.")
    ] = None,
    role: Annotated[
        ChatRole, typer.Option("--role", help="user chats, admin also administers the chat.")
    ] = ChatRole.USER,
    team: Team = None,
    output: Output = Format.TABLE,
) -> None:
    """Make an account in a chat, and print it this once.

    It has a new password; nothing is sent to the address. It needs the permission for credentials.
    """
    body: Json = {"email": email, "role": role.value, **({"name": name} if name else {})}
    what, path = f"{plain(email)} has no new account", workspace_path(workspace, ":inviteToChat")
    account = session.api.send(what, "POST", path, query={"team": team}, body=body).document
    if output.is_document:
        print_document(session.out, output, account)
        return
    for line in sign_in_lines(account):
        session.out.say(line)
    session.notes.say("the password is not shown again; hand it to the person")


def remove(
    session: Session,
    member: Member,
    kind: MemberKind = Kind.USER,
    team: Team = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take the role of somebody invited, after a question."""
    namespace = _chosen_team(session, team)
    if not yes and not dry_run:
        session.confirm(f"Remove {plain(member)} from team {namespace}?")
    path = _path(namespace, "members", KINDS[kind.value], member)
    what, query = f"{plain(member)} was not removed", {"dryRun": dry_run}
    session.api.send(what, "DELETE", path, query=query)
    verb = "would be" if dry_run else "is"
    session.notes.say(f"{plain(member)} {verb} removed from team {namespace}")


def list_tokens(session: Session, team: Team = None, output: Output = Format.TABLE) -> None:
    """List the tokens of a team's scripts."""
    path = _path(_chosen_team(session, team), "tokens")
    document = session.api.get("the tokens were not listed", path).document
    lines = token_table(document["items"], datetime.now(UTC), session.out.width)
    known = [str(token["name"]) for token in document["items"]]
    print_result(session.out, output, document, lines, known)


def create_token(
    session: Session,
    name: TokenName,
    role: GivenRole,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long it is good, as 12h or 30d.")
    ] = "30d",
    team: Team = None,
    output: Output = Format.TABLE,
) -> None:
    """Make a token for a script, and print it this once."""
    seconds = int(seconds_of(expires))
    path = _path(_chosen_team(session, team), "tokens")
    body: Json = {"name": name, "role": role.value, "expiresInSeconds": seconds}
    document = session.api.send("the token was not made", "POST", path, body=body).document
    if output.is_document:
        print_document(session.out, output, document)
        return
    session.out.say(str(document["token"]))
    session.notes.say(f"it ends {document['expires']}, and is not shown again")


def revoke(session: Session, name: TokenName, team: Team = None, yes: Yes = False) -> None:
    """End a script's token, after a question."""
    namespace = _chosen_team(session, team)
    if not yes:
        session.confirm(f"Revoke the token {plain(name)} of team {namespace}?")
    session.api.send("the token was not revoked", "DELETE", _path(namespace, "tokens", name))
    session.notes.say(f"{plain(name)} is revoked; it is refused within 20 seconds")


def _chosen_team(session: Session, team: str | None) -> str:
    """Return the team, or the caller's only one. Raises CliError where there is a choice."""
    if team:
        return team
    identity = session.api.get("your teams were not read", "/api/v1/me").document
    teams = [str(name) for name in identity["teams"] if name != names.SYSTEM_NAMESPACE]
    if len(teams) != 1:
        raise usage_error(
            f"TEAM is missing; yours are: {plain(', '.join(teams)) or 'none'}", "add --team TEAM"
        )
    return teams[0]


def _path(team: str, *parts: str) -> str:
    return team_path(team, "".join(f"/{quote(part, safe='')}" for part in parts))


def _report(session: Session, output: Format, document: Json, sentence: str) -> None:
    if output.is_document:
        print_document(session.out, output, document)
    elif output is Format.NAME:
        session.out.say(plain(str(document["name"])))
    else:
        session.out.say(sentence)
