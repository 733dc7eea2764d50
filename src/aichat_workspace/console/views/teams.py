"""Members and tokens of a team."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views.states import Document, Time, time
from aichat_workspace.foundation import units


@dataclass(frozen=True, slots=True)
class Member:
    """Who has a role in a team."""

    key: str
    """Unique on the page and the same at each refresh."""
    kind: str
    """In Kubernetes' words, as the form sends it."""
    name: str
    full_name: str
    """The name, with its namespace where that is another one."""
    kind_word: str
    role: str
    origin: str
    since: Time
    is_removable: bool
    """Whether it was invited here."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a script."""

    name: str
    role: str
    end: str
    """As `in 12 d`."""
    exact_end: str
    has_ended: bool
    author: str


def team_path(team: str, rest: str = "") -> str:
    """Return the path of a team's page, and of what belongs to it."""
    return f"/teams/{quote(team, safe='')}{rest}"


def members(
    documents: Iterable[Document], tokens: Iterable[Document], team: str, now: datetime
) -> tuple[Member, ...]:
    """Return the rows of members, without the accounts of scripts, which are among the tokens."""
    accounts = {document["username"] for document in tokens}
    return tuple(
        _member(document, team, now)
        for document in documents
        if f"system:serviceaccount:{document.get('namespace')}:{document['name']}" not in accounts
    )


def _member(document: Document, team: str, now: datetime) -> Member:
    name, namespace = document["name"], document.get("namespace") or team
    is_invited = document["invited"]
    inviter = document.get("invitedBy") or TEXTS["unknown"]
    binding = TEXTS["by_binding"].format(name=document["roleBinding"])
    return Member(
        key=f"{document['kind']} {namespace}/{name} {document['roleBinding']}",
        kind=document["kind"],
        name=name,
        full_name=name if namespace == team else f"{namespace}/{name}",
        kind_word=TEXTS[f"kind_{document['kind']}"],
        role=document["role"],
        origin=TEXTS["invited_by"].format(name=inviter) if is_invited else binding,
        since=time(document["since"], now),
        is_removable=is_invited,
    )


def tokens(documents: Iterable[Document], now: datetime) -> tuple[Token, ...]:
    """Return the rows of tokens."""
    return tuple(_token(document, now) for document in documents)


def _token(document: Document, now: datetime) -> Token:
    end = datetime.fromisoformat(document["expires"])
    seconds = (end - now).total_seconds()
    remaining = TEXTS["ends_in"].format(span=units.span(seconds))
    return Token(
        name=document["name"],
        role=document["role"] or TEXTS["unknown"],
        end=remaining if seconds > 0 else TEXTS["has_ended"],
        exact_end=time(document["expires"], now).exact,
        has_ended=seconds <= 0,
        author=document["createdBy"] or TEXTS["unknown"],
    )
