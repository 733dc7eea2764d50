"""Pages on which a backup is restored, or a workspace is cloned from one."""

from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from aichat_workspace.console import forms
from aichat_workspace.console.api_client import ApiProblemError
from aichat_workspace.console.backup_destinations import destinations_of
from aichat_workspace.console.forms import Values
from aichat_workspace.console.views import rows
from aichat_workspace.console.visits import WORKSPACES, Visit
from aichat_workspace.domain import names

_MAX_STEM: Final = names.WORKSPACE_NAME_MAX_LENGTH - len("-copy")


async def restore_page(
    visit: Visit, name: str, team: str, values: Values, status: int = 200, **parts: Any
) -> Response:
    """Return the page that says what a restore replaces, and asks for the workspace's name."""
    return visit.page(
        "restore.html",
        status,
        **await _choices(visit, name, team, values),
        **{"is_mismatch": False, "problem": "", **parts},
    )


async def restore(visit: Visit, name: str, team: str, values: Values) -> Response | None:
    """Restore the backup once the workspace's name was typed; return None where that is done, and
    else the page again with what is wrong. Raises ApiProblemError."""
    if forms.first(values, "confirm") != name:
        return await restore_page(visit, name, team, values, 422, is_mismatch=True)
    body = _chosen(values)
    try:
        await visit.api.call("POST", f"{WORKSPACES}/{name}:restore", forms.encode_team(team), body)
    except ApiProblemError as error:
        problem = _shown(error)
        return await restore_page(visit, name, team, values, error.problem.status, problem=problem)
    return None


async def clone_page(
    visit: Visit, name: str, team: str, values: Values, status: int = 200, problem: str = ""
) -> Response:
    """Return the form of a clone, with what a person has entered."""
    return visit.page(
        "clone.html",
        status,
        **await _choices(visit, name, team, values),
        new_name=forms.first(values, "name") or f"{name[:_MAX_STEM]}-copy",
        problem=problem,
    )


async def clone(visit: Visit, name: str, team: str, values: Values) -> Response:
    """Create the clone and go to its page; return the form again where something is wrong."""
    new_name = forms.first(values, "name")
    body = {**({"name": new_name} if new_name else {}), **_chosen(values)}
    path, query = f"{WORKSPACES}/{name}:clone", forms.encode_team(team)
    try:
        document = await visit.api.call("POST", path, query, body)
    except ApiProblemError as error:
        problem = _shown(error)
        return await clone_page(visit, name, team, values, error.problem.status, problem)
    return visit.redirect(rows.row(document, datetime.now(UTC)).path)


def _shown(error: ApiProblemError) -> str:
    """Return what the page says of a refusal. Raises it where that is not of the form."""
    if error.problem.status not in (403, 409, 422) or error.problem.code == "csrf-token":
        raise error
    return error.problem.detail


def _chosen(values: Values) -> dict[str, str]:
    """Return the backup of the list, or the one of the destination that is named."""
    destination = forms.first(values, "destination")
    backup = forms.first(values, "other" if destination else "backup")
    body = {"backup": backup, "destination": destination}
    return {field: text for field, text in body.items() if text}


async def _choices(visit: Visit, name: str, team: str, values: Values) -> dict[str, Any]:
    """Return what both pages show: the workspace, its backups and where others may be, with what a
    person has chosen. Raises ApiProblemError."""
    path, query = f"{WORKSPACES}/{name}", forms.encode_team(team)
    document = await visit.api.get(path, query)
    listing = await visit.api.get(f"{path}/backups", query)
    return {
        "row": rows.row(document, datetime.now(UTC)),
        "backups": listing["items"],
        "destinations": await destinations_of(visit, document["team"]),
        **{field: forms.first(values, field) for field in ("backup", "destination", "other")},
    }
