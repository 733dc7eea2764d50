"""Lists of workspaces: filters, and pages that stay stable while workspaces come and go."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import orjson

from aichat_workspace.api.web import problems
from aichat_workspace.api.workspaces.cluster_view import FIRST, Order
from aichat_workspace.api.workspaces.views import View, select
from aichat_workspace.domain.v1alpha1.workspace_status import Phase

MAX_LIMIT: Final = 1_000


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
    """A part of the name, resource, team or URL, in upper or lower case."""

    def matches(self, view: View) -> bool:
        """Return whether the workspace has all of it."""
        return (
            (self.team is None or view.team == self.team)
            and (self.phase is None or view.phase == self.phase)
            and (self.owner is None or view.owner == self.owner)
            and (self.text is None or self._mentions(view))
        )

    def _mentions(self, view: View) -> bool:
        text = (self.text or "").casefold()
        url = view.document["status"].get("url") or ""
        return any(text in field.casefold() for field in (view.name, view.resource, view.team, url))


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
    """Return the position in the order after which a page begins. Raises ProblemError (422)."""
    if token is None:
        return FIRST
    try:
        name, team, resource = orjson.loads(base64.urlsafe_b64decode(token.encode()))
        position = (str(name), str(team), str(resource))
    except (binascii.Error, ValueError, TypeError):
        error = problems.FieldError("page", "no page; send the nextPage of an earlier answer")
        raise problems.invalid([error]) from None
    return position


def _format_page(position: Order) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode()


def take_page(views: Iterable[View], matches: Callable[[View], bool], limit: int) -> Page:
    """Return the page of the first `limit` matching workspaces."""
    page = list(islice(filter(matches, views), limit + 1))
    if len(page) <= limit:
        return Page(page)
    return Page(page[:limit], _format_page(page[limit - 1].order))


def parts(page: Page, fields: Sequence[str]) -> Iterator[bytes]:
    """Yield the page's JSON, workspace by workspace; whole ones are not serialized again."""
    separator = b'{"items":['
    for view in page.views:
        yield separator + (orjson.dumps(select(view.document, fields)) if fields else view.body)
        separator = b","
    head = b"" if page.views else separator
    total = b"" if page.total is None else b'"total":%d,' % page.total
    yield b'%s],%s"nextPage":%s}' % (head, total, orjson.dumps(page.next_page))


def etag(page: Page, fields: Sequence[str]) -> str:
    """Return the page's ETag; it changes with the content, and is weak as it may be compressed."""
    tags = (view.etag for view in page.views)
    content = orjson.dumps([page.next_page, page.total, *fields, *tags])
    return f'W/"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
