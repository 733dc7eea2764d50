"""The page for the platform team: all workspaces that the person may see, together."""

from typing import Any, Final

from starlette.responses import Response

from aichat_workspace.console.pages import WORKSPACES, Visit
from aichat_workspace.console.views import platform
from aichat_workspace.console.views.states import Document

_LIMIT: Final = "1000"
_MAX_PAGES: Final = 2


async def platform_page(visit: Visit) -> Response:
    """Return the page; it has the first two thousand workspaces, and says if there are more."""
    settings = await visit.api.get("/api/v1/platform")
    documents, is_whole = await _list(visit)
    return visit.page(
        "platform.html",
        settings=settings,
        phases=platform.phase_counts(documents),
        problems=platform.problems(documents),
        upgrade=platform.upgrade(documents),
        count=len(documents),
        is_whole=is_whole,
    )


async def _list(visit: Visit) -> tuple[list[Document], bool]:
    documents: list[Document] = []
    query: dict[str, Any] = {"limit": _LIMIT, "fields": platform.FIELDS}
    for _ in range(_MAX_PAGES):
        answer = await visit.api.get(WORKSPACES, query)
        documents += [{"status": {}, **document} for document in answer["items"]]
        query["page"] = answer["nextPage"]
        if query["page"] is None:
            return documents, True
    return documents, False
