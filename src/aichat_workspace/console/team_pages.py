"""A team: what it uses, its members, and the tokens of its scripts."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from aichat_workspace.console import forms
from aichat_workspace.console.api_client import ApiProblemError
from aichat_workspace.console.forms import Values
from aichat_workspace.console.views import teams, usage
from aichat_workspace.console.views.states import Document
from aichat_workspace.console.views.teams import team_path
from aichat_workspace.console.visits import WORKSPACES, Visit

ROLES: Final = ("viewer", "editor", "admin")
KINDS: Final = ("User", "Group", "ServiceAccount")
DAYS: Final = (1, 7, 30, 90)
_SHOWN: Final = 100
_DAY_SECONDS: Final = 86_400
_REPORTED: Final = (400, 403, 404, 409, 422)
_FIELDS: Final = {"name": "name", "expiresInSeconds": "days"}
Errors = Mapping[str, Sequence[str]]


async def teams_page(visit: Visit) -> Response:
    """Return the person's teams."""
    names = (await visit.api.get("/api/v1/me"))["teams"]
    links = [(name, team_path(name)) for name in names[:_SHOWN]]
    return visit.page("teams.html", teams=links, more=len(names) - len(links))


async def team_page(
    visit: Visit,
    team: str,
    status: int = 200,
    *,
    invitation: Values | None = None,
    token: Values | None = None,
    errors: Errors | None = None,
    new_token: Mapping[str, Any] | None = None,
) -> Response:
    """Return a team's page; `invitation` or `token` is the form that has `errors`.

    Raises ApiProblemError for a team of which nothing may be seen.
    """
    now = datetime.now(UTC)
    path = f"/api/v1/teams/{team}"
    sums, members, tokens = [
        await _read(visit, f"{path}/{part}") for part in ("usage", "members", "tokens")
    ]
    if isinstance(sums, ApiProblemError) and (
        sums.problem.status != 403
        or (isinstance(members, ApiProblemError) and isinstance(tokens, ApiProblemError))
    ):
        raise sums
    watch = f"{WORKSPACES}:watch?{urlencode({'team': team, 'fields': 'name,status.phase'})}"
    return visit.page(
        "team.html",
        status,
        team=team,
        path=team_path(team),
        watch="" if isinstance(sums, ApiProblemError) else watch,
        usage_problem=_problem(sums),
        workspaces=0 if isinstance(sums, ApiProblemError) else sums["workspaces"],
        gauges=() if isinstance(sums, ApiProblemError) else usage.team_gauges(sums),
        members_problem=_problem(members),
        members=teams.members(_items(members), _items(tokens), team, now),
        is_complete=isinstance(members, ApiProblemError) or members["complete"],
        tokens_problem=_problem(tokens),
        tokens=teams.tokens(_items(tokens), now),
        roles=ROLES,
        kinds=KINDS,
        days=DAYS,
        invitation=_texts(invitation),
        invitation_errors=errors if invitation is not None and errors else {},
        token=_texts(token),
        token_errors=errors if token is not None and errors else {},
        new_token=new_token,
    )


async def _read(visit: Visit, path: str) -> Any:
    """Return the document, or the error of what the person may not see or what is not there."""
    try:
        return await visit.api.get(path)
    except ApiProblemError as error:
        if error.problem.status not in (403, 404):
            raise
        return error


def _problem(answer: Any) -> str:
    return answer.problem.detail if isinstance(answer, ApiProblemError) else ""


def _items(answer: Any) -> Sequence[Document]:
    return () if isinstance(answer, ApiProblemError) else answer["items"]


def _texts(values: Values | None) -> dict[str, str]:
    """Return what a person has entered, by field."""
    return {name: forms.first(values or {}, name) for name in ("name", "role", "kind", "days")}


async def invite(visit: Visit, team: str, values: Values) -> Response:
    """Invite a member, and show the team; the form again where something is wrong."""
    body = {name: forms.first(values, name) for name in ("kind", "name", "role")}
    try:
        await visit.api.call("POST", f"/api/v1/teams/{team}/members", body=body)
    except ApiProblemError as error:
        errors = _reported(error)
        return await team_page(visit, team, error.problem.status, invitation=values, errors=errors)
    return visit.redirect(team_path(team))


async def remove_member(visit: Visit, team: str, values: Values) -> Response:
    """Remove a member, and show the team. Raises ApiProblemError."""
    kind, name = forms.first(values, "kind"), forms.first(values, "name")
    await visit.api.call("DELETE", f"/api/v1/teams/{team}/members/{kind}/{name}")
    return visit.redirect(team_path(team))


async def create_token(visit: Visit, team: str, values: Values) -> Response:
    """Make a token, and show it this once; the form again where something is wrong."""
    days = forms.first(values, "days")
    body: dict[str, Any] = {name: forms.first(values, name) for name in ("name", "role")}
    if days.isascii() and days.isdecimal():
        body["expiresInSeconds"] = int(days[:4]) * _DAY_SECONDS
    try:
        new_token = await visit.api.call("POST", f"/api/v1/teams/{team}/tokens", body=body)
    except ApiProblemError as error:
        errors = _reported(error)
        return await team_page(visit, team, error.problem.status, token=values, errors=errors)
    return await team_page(visit, team, 201, new_token=new_token)


async def revoke_token(visit: Visit, team: str, values: Values) -> Response:
    """Revoke a token, and show the team. Raises ApiProblemError."""
    name = forms.first(values, "name")
    await visit.api.call("DELETE", f"/api/v1/teams/{team}/tokens/{name}")
    return visit.redirect(team_path(team))


def _reported(error: ApiProblemError) -> Errors:
    """Return the messages beside the form's fields. Raises the error that has a page of its own."""
    if error.problem.status not in _REPORTED or error.problem.code == "csrf-token":
        raise error
    return forms.errors_by_field(error.problem, _FIELDS)
