"""The form of a new workspace: it is filled in, checked and sent."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from aichat_workspace.console import forms
from aichat_workspace.console.api_client import ApiProblemError
from aichat_workspace.console.forms import NewWorkspace
from aichat_workspace.console.views import rows
from aichat_workspace.console.views.states import Document
from aichat_workspace.console.visits import WORKSPACES, Visit, teams_to_create_in

_MODELS_SHOWN: Final = 12


async def new_page(
    visit: Visit,
    form: NewWorkspace,
    status: int = 200,
    errors: Mapping[str, Sequence[str]] | None = None,
    *,
    is_checked: bool = False,
) -> Response:
    """Return the form of a new workspace, with what would be made.

    `errors` are messages by field; `is_checked` says that the API found none.
    """
    teams = await teams_to_create_in(visit)
    in_use = await visit.api.get("/api/v1/models")
    patterns = await visit.api.get("/api/v1/patterns")
    platform = await visit.api.get("/api/v1/platform")
    options = await _options(visit, form.team if form.team in teams else next(iter(teams), ""))
    classes = options["sizeClasses"]
    return visit.page(
        "new.html",
        status,
        form=form,
        size_classes=classes,
        size_class=_chosen_class(form, classes),
        destinations=options["backupDestinations"],
        models_text=forms.join(form.models),
        teams=teams,
        in_use=in_use["inUse"][:_MODELS_SHOWN],
        patterns=patterns["items"],
        platform=platform,
        scheme="https" if platform["tls"] else "http",
        errors=errors or {},
        is_checked=is_checked,
    )


async def _options(visit: Visit, team: str) -> Document:
    """Return what the team may choose, as size classes and whether each fits its quota.

    Who may create workspaces in a team and not list them gets those of all their teams.
    """
    path = "/api/v1/options"
    try:
        document: Document = await visit.api.get(path, forms.encode_team(team))
    except ApiProblemError as error:
        if not team or error.problem.status not in (403, 404):
            raise
        document = await visit.api.get(path)
    return document


def _chosen_class(form: NewWorkspace, classes: Sequence[Document]) -> Document | None:
    """Return the class of the form, the first that fits while nobody has chosen; None for none."""
    if form.class_name is None:
        return next((entry for entry in classes if entry["fits"]), None)
    return next((entry for entry in classes if entry["name"] == form.class_name), None)


async def check_new(visit: Visit, form: NewWorkspace) -> Response:
    """Return the form after a check of the API that changes nothing."""
    if not form.name:
        return await new_page(visit, form)
    try:
        await visit.api.call("POST", WORKSPACES, {"dryRun": "true"}, form.body())
    except ApiProblemError as error:
        return await new_page(
            visit, form, errors=forms.errors_by_field(error.problem, forms.NEW_FIELDS)
        )
    return await new_page(visit, form, is_checked=True)


async def create(visit: Visit, form: NewWorkspace) -> Response:
    """Create the workspace and go to its page; return the form again where something is wrong."""
    try:
        document = await visit.api.call("POST", WORKSPACES, body=form.body())
    except ApiProblemError as error:
        if error.problem.status not in (403, 409, 422) or error.problem.code == "csrf-token":
            raise
        errors = forms.errors_by_field(error.problem, forms.NEW_FIELDS)
        return await new_page(visit, form, error.problem.status, errors)
    return visit.redirect(rows.row(document, datetime.now(UTC)).path)
