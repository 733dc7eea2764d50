"""Lists of workspaces: filters, and pages that stay stable while workspaces come and go."""

import base64
import binascii
import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Final, Self

import orjson

from aichat_workspace.api.web.responses import field_errors, problems
from aichat_workspace.api.workspaces.cluster_view import FIRST, Order
from aichat_workspace.api.workspaces.selectors import LabelRequirement, has_conditions
from aichat_workspace.api.workspaces.views import View, body
from aichat_workspace.domain.v1alpha1.workspace_status import Phase

MAX_LIMIT: Final = 1_000


Position = tuple[str, ...]


class SortField(StrEnum):
    """What lists are ordered by. All but the phase and the last activity stays what it is while the
    resource exists."""

    NAME = "name"
    TEAM = "team"
    CREATED = "created"
    PHASE = "phase"
    USED_AT = "usedAt"


_SORT_VALUES: Final[Mapping[SortField, Callable[[View], str]]] = {
    SortField.NAME: lambda view: view.name,
    SortField.TEAM: lambda view: view.team,
    SortField.CREATED: lambda view: str(view.document["created"]),
    SortField.PHASE: lambda view: view.phase,
    SortField.USED_AT: lambda view: str(_activity(view).get("usedAt", "")),
}


def _activity(view: View) -> Mapping[str, Any]:
    """Return what is known of the workspace's use."""
    return view.document["status"].get("activity") or {}


def is_idle_since(view: View, moment: datetime) -> bool:
    """Whether it is known that nobody has used a workspace since a time at which it was there.

    Its chat was asked after that time; one that is suspended has no users.
    """
    activity = _activity(view)
    asked_at, last = activity.get("askedAt"), activity.get("usedAt")
    is_known = view.phase == Phase.SUSPENDED or bool(
        asked_at and datetime.fromisoformat(asked_at) >= moment
    )
    return (
        is_known
        and datetime.fromisoformat(view.document["created"]) < moment
        and not (last and datetime.fromisoformat(last) >= moment)
    )


@dataclass(frozen=True, slots=True)
class Filter:
    """Which workspaces to list; None matches any."""

    team: str | None = None
    """The team."""
    phase: Phase | None = None
    """The phase."""
    owner: str | None = None
    """Who requested it by the API."""
    text: str | None = None
    """A part of the name, resource, display name, team or URL, in upper or lower case."""
    cost_centre: str | None = None
    """Who pays."""
    labels: tuple[LabelRequirement, ...] = ()
    """What its labels have to be."""
    conditions: tuple[tuple[str, str], ...] = ()
    """Types and statuses of conditions that it has to have."""
    idle_since: datetime | None = None
    """A time since which nobody has used it, as far as it is known that nobody has."""

    def matches(self, view: View) -> bool:
        """Return whether the workspace has all of it."""
        return (
            (self.team is None or view.team == self.team)
            and (self.phase is None or view.phase == self.phase)
            and (self.owner is None or view.owner == self.owner)
            and (self.text is None or self._mentions(view))
            and (self.cost_centre in (None, view.document["spec"].get("costCentre", "")))
            and (not self.labels or self._has_labels(view))
            and (not self.conditions or self._has_conditions(view))
            and (self.idle_since is None or is_idle_since(view, self.idle_since))
        )

    def _has_labels(self, view: View) -> bool:
        labels = view.document["spec"].get("labels") or {}
        return all(requirement.matches(labels) for requirement in self.labels)

    def _has_conditions(self, view: View) -> bool:
        return has_conditions(view.document["status"].get("conditions") or (), self.conditions)

    def _mentions(self, view: View) -> bool:
        text = (self.text or "").casefold()
        url = view.document["status"].get("url") or ""
        shown = view.document["spec"].get("displayName") or ""
        fields = (view.name, view.resource, shown, view.team, url)
        return any(text in field.casefold() for field in fields)


@dataclass(frozen=True, slots=True)
class Sort:
    """The order of a list: by one field, and workspaces that are alike in it by their names."""

    field: SortField = SortField.NAME
    is_descending: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the order of a field's name, which a minus turns round."""
        return cls(SortField(text.removeprefix("-")), text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.field}" if self.is_descending else self.field

    def key(self, view: View) -> Position:
        """Return the place of a workspace in the order."""
        return (_SORT_VALUES[self.field](view), *view.order)

    def is_after(self, view: View, position: Position) -> bool:
        """Return whether a workspace comes after a place in the order."""
        key = self.key(view)
        return key < position if self.is_descending else key > position


BY_NAME: Final = Sort()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list."""

    views: Sequence[View]
    """The workspaces on it."""
    next_page: str | None = None
    """The token of the next page; None on the last one."""
    total: int | None = None
    """How many workspaces all pages have; None where they are not counted."""


def parse_page(token: str | None) -> Order:
    """Return the position in the order of names after which a page begins.

    Raises ProblemError (422).
    """
    if token is None:
        return FIRST
    name, team, resource = _parse_token(token, len(FIRST))
    return name, team, resource


def parse_sorted_page(token: str | None, sort: Sort) -> Position | None:
    """Return the position after which a page begins; None for the first one.

    Raises ProblemError (422), also for a page of a list in another order.
    """
    if token is None:
        return None
    order, *position = _parse_token(token, len(FIRST) + 2)
    if order != str(sort):
        raise _no_page(f"it is of a list with sort={order}; send that, or begin without page")
    return tuple(position)


def _parse_token(token: str, length: int) -> list[str]:
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError):
        parts = None
    if not isinstance(parts, list) or len(parts) != length:
        raise _no_page("no page of this list; send the nextPage of an earlier answer")
    return [str(part) for part in parts]


def _no_page(message: str) -> problems.ProblemError:
    return problems.invalid([field_errors.FieldError("page", message)])


def _format_page(position: Position) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode()


def take_page(views: Iterable[View], matches: Callable[[View], bool], limit: int) -> Page:
    """Return the page of the first `limit` matching workspaces, which come in their order."""
    page = list(islice(filter(matches, views), limit + 1))
    if len(page) <= limit:
        return Page(page)
    return Page(page[:limit], _format_page(page[limit - 1].order))


def take_sorted_page(
    views: Iterable[View],
    matches: Callable[[View], bool],
    limit: int,
    sort: Sort,
    after: Position | None,
) -> Page:
    """Return the page of `limit` matching workspaces that come first after a position."""
    rest = (
        view for view in views if (after is None or sort.is_after(view, after)) and matches(view)
    )
    select = heapq.nlargest if sort.is_descending else heapq.nsmallest
    page = select(limit + 1, rest, key=sort.key)
    if len(page) <= limit:
        return Page(page)
    return Page(page[:limit], _format_page((str(sort), *sort.key(page[limit - 1]))))


def parts(page: Page, fields: Sequence[str]) -> Iterator[bytes]:
    """Yield the page's JSON, workspace by workspace; whole ones are not serialized again."""
    separator = b'{"items":['
    for view in page.views:
        yield separator + body(view, fields)
        separator = b","
    head = b"" if page.views else separator
    total = b"" if page.total is None else b'"total":%d,' % page.total
    yield b'%s],%s"nextPage":%s}' % (head, total, orjson.dumps(page.next_page))


def etag(page: Page, fields: Sequence[str]) -> str:
    """Return the page's ETag; it changes with the content, and is weak as it may be compressed."""
    tags = (view.etag for view in page.views)
    content = orjson.dumps([page.next_page, page.total, *fields, *tags])
    return f'W/"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
