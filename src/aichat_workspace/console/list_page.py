"""The list of workspaces."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from aichat_workspace.console.api_client import ApiProblemError
from aichat_workspace.console.views import rows
from aichat_workspace.console.views.states import Document
from aichat_workspace.console.visits import WORKSPACES, Visit, teams_to_create_in

_LIMIT: Final = "100"
_FILTERS: Final = ("q", "team", "phase", "condition", "sort", "page")


async def list_page(visit: Visit, query: Mapping[str, str]) -> Response:
    """Return the list of workspaces."""
    filters = {name: query[name] for name in _FILTERS if query.get(name)}
    documents, next_page, can_create = await _list(visit, filters)
    now = datetime.now(UTC)
    watched = "?" + urlencode({"team": filters["team"]}) if "team" in filters else ""
    return visit.page(
        "list.html",
        rows=[rows.row(document, now) for document in documents],
        phases=rows.phase_filters(
            documents, filters, is_whole=next_page is None and "page" not in filters
        ),
        query=filters,
        is_filtered=bool(filters.keys() - {"sort", "page"}),
        columns=rows.columns(filters),
        orders=rows.sort_options(filters),
        conditions=rows.condition_filters(filters.get("condition", "")),
        next_page=next_page,
        can_create=can_create,
        watch=f"{WORKSPACES}:watch{watched}",
    )


async def _list(
    visit: Visit, filters: Mapping[str, str]
) -> tuple[Sequence[Document], str | None, bool]:
    """Return the documents, the next page, and whether the person may create one."""
    try:
        answer = await visit.api.get(WORKSPACES, {**filters, "limit": _LIMIT})
    except ApiProblemError as error:
        # Without a filter it means: in no team at all, which is an empty list with a way out.
        if error.problem.status != 403 or filters.keys() - {"sort"}:
            raise
        answer = {"items": [], "nextPage": None}
    can_create = bool(await teams_to_create_in(visit, at_most=1))
    return answer["items"], answer["nextPage"], can_create
