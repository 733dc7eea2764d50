"""The page for the platform team: all workspaces that the person may see, together."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from aichat_workspace.console.api_client import ApiProblemError
from aichat_workspace.console.views import platform, usage, workspaces
from aichat_workspace.console.views.states import Document
from aichat_workspace.console.visits import WORKSPACES, Visit

_LIMIT: Final = "1000"
_MAX_PAGES: Final = 2
_UPGRADES: Final = "/api/v1/platform/upgrades"


async def platform_page(visit: Visit) -> Response:
    """Return the page; it has the first two thousand workspaces, and says if there are more."""
    settings = await visit.api.get("/api/v1/platform")
    upgrades = await visit.api.get(_UPGRADES)
    documents, is_whole = await _list(visit)
    sums = await _if_allowed(visit, "/api/v1/platform/usage")
    diagnosis = await _if_allowed(visit, "/api/v1/platform/diagnosis")
    teams = usage.team_rows(sums["teams"]) if sums else ()
    return visit.page(
        "platform.html",
        settings=settings,
        upgrades=upgrades,
        diagnosis=diagnosis,
        findings=workspaces.findings(diagnosis["findings"]) if diagnosis else (),
        phases=platform.phase_counts(documents),
        problems=platform.problems(documents),
        upgrade=platform.upgrade(documents),
        count=len(documents),
        is_whole=is_whole,
        watch=f"{WORKSPACES}:watch?{urlencode({'fields': platform.FIELDS})}",
        teams=teams,
        titles=usage.titles(teams),
        gauges=usage.team_gauges(sums["total"]) if sums else (),
    )


async def change_upgrades(visit: Visit, action: str) -> Response:
    """Pause or resume upgrades, and return to the page. Raises ApiProblemError."""
    await visit.api.call("POST", f"{_UPGRADES}:{action}")
    return visit.redirect("/platform")


async def _if_allowed(visit: Visit, path: str) -> Document | None:
    """Return a document; None for a person who may not see it."""
    try:
        document: Document = await visit.api.get(path)
    except ApiProblemError as error:
        if error.problem.status != 403:
            raise
        return None
    return document


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
