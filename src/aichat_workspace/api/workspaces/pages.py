"""Which workspaces a list shows: filters, and pages that stay stable whoever comes and goes."""

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
    """What the caller asks for; None asks for any."""

    team: str | None = None
    phase: Phase | None = None
    owner: str | None = None
    text: str | None = None

    def matches(self, view: View) -> bool:
        return (
            (self.team is None or view.team == self.team)
            and (self.phase is None or view.phase == self.phase)
            and (self.owner is None or view.owner == self.owner)
            and (self.text is None or self._mentions(view))
        )

    def _mentions(self, view: View) -> bool:
        wanted = (self.text or "").casefold()
        url = view.document["status"].get("url") or ""
        return any(wanted in each.casefold() for each in (view.name, view.resource, view.team, url))


def read_page(token: str | None) -> Order:
    """The place in the order behind which a page begins. Raises ProblemError (422)."""
    if token is None:
        return FIRST
    try:
        name, team, resource = orjson.loads(base64.urlsafe_b64decode(token.encode()))
        place = (str(name), str(team), str(resource))
    except (binascii.Error, ValueError, TypeError):
        error = problems.FieldError("page", "no page; send the nextPage of an earlier answer")
        raise problems.invalid([error]) from None
    return place


def _write_page(place: Order) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode()


def page_of(
    views: Iterable[View], wanted: Callable[[View], bool], limit: int
) -> tuple[Sequence[View], str | None]:
    """The first `limit` wanted ones, and where the next page begins."""
    found = list(islice(filter(wanted, views), limit + 1))
    if len(found) <= limit:
        return found, None
    return found[:limit], _write_page(found[limit - 1].order)


def parts(views: Sequence[View], next_page: str | None, fields: Sequence[str]) -> Iterator[bytes]:
    """The page as JSON, workspace by workspace; whole ones are not written anew."""
    before = b'{"items":['
    for each in views:
        yield before + (orjson.dumps(select(each.document, fields)) if fields else each.body)
        before = b","
    head = b"" if views else before
    yield b'%s],"nextPage":%s}' % (head, orjson.dumps(next_page))


def etag(views: Sequence[View], next_page: str | None, fields: Sequence[str]) -> str:
    """Changes with whatever the page shows."""
    shown = orjson.dumps([next_page, *fields, *(each.etag for each in views)])
    return f'"{hashlib.blake2b(shown, digest_size=16).hexdigest()}"'
