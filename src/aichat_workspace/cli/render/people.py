"""Members and tokens of a team in lists, and how an account signs in to a chat."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from aichat_workspace.cli.render.lines import Line, Span, Style, line, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.foundation import units

Json = Mapping[str, Any]
KINDS: Final = {"user": "User", "group": "Group", "service-account": "ServiceAccount"}
"""The kinds of members, by the words of the option --kind."""
_WORDS: Final = {kind: word for word, kind in KINDS.items()}


def member_table(
    team: str, members: Sequence[Json], now: datetime, width: int | None
) -> list[Line]:
    """Return who may do what, with the words that remove them; those of others' RoleBindings are
    removed with kubectl."""
    rows = [
        (
            Span(_full_name(member, team)),
            Span(_WORDS.get(member["kind"], str(member["kind"]))),
            Span(str(member["role"])),
            Span(_origin(member), Style.PLAIN if member["invited"] else Style.FAINT),
            Span(units.age(units.seconds_since(str(member["since"]), now))),
        )
        for member in members
    ]
    columns = (Column("MEMBER", 0, 16), Column("KIND", 1), Column("ROLE"), Column("GIVEN BY", 2))
    return table((*columns, Column("SINCE", 3)), rows, width) if rows else [line("no members")]


def _full_name(member: Json, team: str) -> str:
    """Return the name, with its namespace where that is not the team's."""
    namespace = member.get("namespace") or team
    return plain(str(member["name"]) if namespace == team else f"{namespace}/{member['name']}")


def _origin(member: Json) -> str:
    if member["invited"]:
        return plain(str(member.get("invitedBy") or "an invitation"))
    return plain(f"RoleBinding {member['roleBinding']}")


def token_table(tokens: Sequence[Json], now: datetime, width: int | None) -> list[Line]:
    """Return the tokens of a team's scripts."""
    rows = [
        (
            Span(plain(str(token["name"]))),
            Span(plain(str(token.get("role") or "unknown"))),
            _end(str(token["expires"]), now),
            Span(plain(str(token.get("createdBy") or "unknown"))),
        )
        for token in tokens
    ]
    columns = (Column("TOKEN"), Column("ROLE"), Column("ENDS"), Column("MADE BY", 1))
    return table(columns, rows, width) if rows else [line("no tokens")]


def _end(time: str, now: datetime) -> Span:
    seconds = (datetime.fromisoformat(time) - now).total_seconds()
    return Span(f"in {units.age(seconds)}") if seconds > 0 else Span("has ended", Style.BAD)


def sign_in_lines(account: Json) -> list[str]:
    """Return where and how an account signs in to a chat."""
    labels = (("URL", "url"), ("Email", "email"), ("Password", "password"))
    return [f"{label:<9} {plain(str(account.get(key) or ''))}" for label, key in labels]
