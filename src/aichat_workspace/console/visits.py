"""Visits of people who are signed in, and how they sign in and out."""

import hmac
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from aichat_workspace.console import forms, rendering
from aichat_workspace.console.api_client import ApiClient, ApiProblemError, Problem
from aichat_workspace.console.forms import Values
from aichat_workspace.foundation.local_path import is_local

WORKSPACES: Final = "/api/v1/workspaces"
_SESSION: Final = "/api/v1/session"
_TEAMS_SHOWN: Final = 100
_OLD_FORM: Final = Problem(403, "csrf-token", "")


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in."""

    username: str
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a person's browser."""

    api: ApiClient
    person: Person

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page for the person."""
        cookies = self.api.cookies
        return rendering.page(template, status, cookies=cookies, person=self.person, **values)

    def redirect(self, path: str) -> Response:
        """Return a redirect to another page."""
        return rendering.redirect(path, self.api.cookies)


async def begin_visit(api: ApiClient, form: Values | None = None) -> Visit:
    """Return the visit of the person who is signed in.

    A form brings the session's token. Raises ApiProblemError: 401, or 403 for another token.
    """
    session = await api.get(_SESSION)
    person = Person(session["username"], session["csrfToken"])
    if form is not None:
        api.csrf_token = forms.first(form, forms.CSRF_FIELD)
        if not hmac.compare_digest(api.csrf_token.encode(), person.csrf_token.encode()):
            raise ApiProblemError(_OLD_FORM)
    return Visit(api, person)


async def sign_in(api: ApiClient, token: str) -> None:
    """Start a session with a token. Raises ApiProblemError."""
    await api.call("POST", _SESSION, body={"token": token})


async def sign_out(api: ApiClient) -> Response:
    """End the session, here and at the identity provider where that can. Raises ApiProblemError.

    The way to the provider is a page, not a redirect: the policy's form-action, which browsers
    apply to redirects of a form, allows this site only.
    """
    target = (await api.send("POST", f"{_SESSION}/logout")).location
    if is_local(target):
        return rendering.redirect("/login", api.cookies)
    return rendering.page("signed_out.html", cookies=api.cookies, person=None, provider=target)


async def teams_to_create_in(visit: Visit, at_most: int = _TEAMS_SHOWN) -> list[str]:
    """Return teams in which the person may create a workspace.

    Only the first hundred of their teams are asked about, one question each.
    """
    me = await visit.api.get("/api/v1/me")
    teams: list[str] = me["teams"][:_TEAMS_SHOWN]
    if "create" in me["everywhere"]:
        return teams
    allowed: list[str] = []
    for team in teams:
        answer = await visit.api.get("/api/v1/me/can-i", {"verb": "create", "team": team})
        allowed += [team] if answer["allowed"] else []
        if len(allowed) == at_most:
            break
    return allowed
