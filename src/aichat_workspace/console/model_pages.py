"""The catalogue of models: what is known of each, and what fits."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from aichat_workspace.console import forms
from aichat_workspace.console.api_client import ApiProblemError
from aichat_workspace.console.forms import Values
from aichat_workspace.console.views.catalogue import catalogue
from aichat_workspace.console.visits import WORKSPACES, Visit

_ROOM: Final = ("memory", "storage")
_OF_WORKSPACE: Final = ("workspace", "team")
_FIELDS: Final = {name: name for name in _ROOM}


async def catalogue_page(visit: Visit, query: Mapping[str, str]) -> Response:
    """Return the catalogue; the query names a workspace, or sizes, that models are to fit."""
    names = _OF_WORKSPACE if query.get("workspace") else _ROOM
    asked_for = {name: query[name] for name in names if query.get(name)}
    errors: Mapping[str, object] = {}
    status = 200
    try:
        document = await visit.api.get("/api/v1/catalogue", asked_for)
    except ApiProblemError as error:
        if error.problem.status != 422 or names is _OF_WORKSPACE:
            raise
        status, errors = 422, forms.errors_by_field(error.problem, _FIELDS)
        document = await visit.api.get("/api/v1/catalogue")
    return visit.page(
        "models.html",
        status,
        models=catalogue(document["items"]),
        checked=document["checked"],
        query=asked_for,
        has_room=bool(asked_for) and not errors,
        errors=errors,
    )


async def add_model(visit: Visit, name: str, team: str, values: Values) -> None:
    """Add a model to a workspace. Raises ApiProblemError."""
    body = {"name": forms.first(values, "model")}
    await visit.api.call("POST", f"{WORKSPACES}/{name}/models", forms.encode_team(team), body)
