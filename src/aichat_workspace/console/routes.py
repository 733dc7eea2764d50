"""Routes of the console, and a page for every error."""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from aichat_workspace.console import (
    backup_pages,
    forms,
    list_page,
    model_pages,
    new_page,
    platform_page,
    rendering,
    settings_pages,
    team_pages,
    visits,
    workspace_pages,
)
from aichat_workspace.console.api_client import ApiClient, ApiProblemError, Problem
from aichat_workspace.console.forms import NewWorkspace, Values
from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views.teams import team_path
from aichat_workspace.domain import names
from aichat_workspace.foundation.local_path import is_local

_NAME: Final = re.compile(names.WORKSPACE_NAME_PATTERN)
NOT_FOUND: Final = Problem(404, "no-such-page", "")
_BUG: Final = Problem(500, "bug", "")
_ACTIONS: Final = ("suspend", "resume", "restart", "backup")
_UPGRADE_ACTIONS: Final = ("pause", "resume")
_TEAM: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TEAM_CHANGES: Final[Mapping[str, Callable[[visits.Visit, str, Values], Awaitable[Response]]]] = {
    "members": team_pages.invite,
    "members/remove": team_pages.remove_member,
    "tokens": team_pages.create_token,
    "tokens/revoke": team_pages.revoke_token,
}
_log: Final = structlog.get_logger()

HELD: Final = "aichat.held"
"""The key of a request's scope for what is held until its page is sent."""

Endpoint = Callable[[Request], Awaitable[Response]]
Hold = Callable[[str], AbstractContextManager[None]]
"""Counts a page of a person, by name; raises ApiProblemError (429) for one too many."""


@dataclass(frozen=True, slots=True)
class Routes:
    """The console's endpoints for one API."""

    api: ASGIApp
    has_provider: bool
    """Whether an identity provider signs people in."""
    hold: Hold

    def all(self) -> list[Route]:
        """Return the routes, in the order in which they are matched."""
        return [
            self._route("/", self.show_list, "GET"),
            self._route("/login", self.show_login, "GET"),
            self._route("/login", self.sign_in, "POST"),
            self._route("/logout", self.sign_out, "POST"),
            self._route("/new", self.show_new, "GET"),
            self._route("/new", self.create, "POST"),
            self._route("/models", self.show_models, "GET"),
            self._route("/platform", self.show_platform, "GET"),
            *(
                self._route(f"/platform/{action}", self.change_upgrades, "POST")
                for action in _UPGRADE_ACTIONS
            ),
            self._route("/platform/{rest:path}", self.return_to_platform, "GET"),
            self._route("/teams", self.show_teams, "GET"),
            self._route("/teams/{team}", self.show_team, "GET"),
            *(
                self._route(f"/teams/{{team}}/{part}", self.change_team, "POST")
                for part in _TEAM_CHANGES
            ),
            self._route("/teams/{team}/{rest:path}", self.return_to_team, "GET"),
            self._route("/workspaces/{name}", self.show_workspace, "GET"),
            self._route("/workspaces/{name}/settings", self.show_settings, "GET"),
            self._route("/workspaces/{name}/settings", self.save_settings, "POST"),
            self._route("/workspaces/{name}/yaml", self.show_yaml, "GET"),
            self._route("/workspaces/{name}/yaml", self.save_settings, "POST"),
            self._route("/workspaces/{name}/delete", self.show_delete, "GET"),
            self._route("/workspaces/{name}/delete", self.delete, "POST"),
            self._route("/workspaces/{name}/restore", self.show_restore, "GET"),
            self._route("/workspaces/{name}/restore", self.restore, "POST"),
            self._route("/workspaces/{name}/clone", self.show_clone, "GET"),
            self._route("/workspaces/{name}/clone", self.clone, "POST"),
            self._route("/workspaces/{name}/credentials", self.show_credentials, "POST"),
            self._route("/workspaces/{name}/invite", self.invite_to_chat, "POST"),
            self._route("/workspaces/{name}/prompt", self.ask, "POST"),
            self._route("/workspaces/{name}/models", self.add_model, "POST"),
            *(
                self._route(f"/workspaces/{{name}}/{action}", self.act, "POST")
                for action in _ACTIONS
            ),
            self._route("/workspaces/{name}/{action}", self.return_to_workspace, "GET"),
            self._route("/assets/{revision}/{file}", self.show_asset, "GET"),
        ]

    def _route(self, path: str, endpoint: Endpoint, method: str) -> Route:
        return Route(path, self._with_errors(endpoint), methods=[method])

    def _with_errors(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint with a page for each error."""

        async def answer(request: Request) -> Response:
            try:
                _require_name(request)
                return await endpoint(request)
            except ApiProblemError as error:
                return self.problem_page(request, error.problem)
            except Exception:
                _log.exception("page crashed", path=request.url.path)
                return self.problem_page(request, _BUG)

        return answer

    def problem_page(self, request: Request, problem: Problem) -> Response:
        """Return the page of a problem; without a session, the way to sign in and come back."""
        if problem.status == 401:
            here = _here(request) if request.method == "GET" else "/"
            return rendering.redirect(f"/login?{urlencode({'next': here})}")
        known = f"error_{problem.status}"
        return rendering.page(
            "error.html",
            problem.status,
            person=None,
            title=TEXTS.get(known, TEXTS["error_500"]),
            detail=_detail(problem),
            retry_path=_here(request) if request.method == "GET" else "/",
            is_retryable=problem.retry_after_seconds is not None,
        )

    async def show_list(self, request: Request) -> Response:
        """Show the list of workspaces."""
        return await list_page.list_page(await self._visit(request), request.query_params)

    async def show_login(self, request: Request) -> Response:
        """Show the ways to sign in."""
        return self._login_page(_local(request.query_params.get("next", "/")))

    async def sign_in(self, request: Request) -> Response:
        """Sign in with a token, and go where the person wanted to go."""
        form = await forms.read_form(request)
        next_path = _local(forms.first(form, "next"))
        api = ApiClient(self.api, request)
        try:
            await visits.sign_in(api, forms.first(form, "token"))
        except ApiProblemError as error:
            if error.problem.code == "cross-site":
                raise
            return self._login_page(next_path, error.problem)
        return rendering.redirect(next_path, api.cookies)

    def _login_page(self, next_path: str, problem: Problem | None = None) -> Response:
        return rendering.page(
            "login.html",
            problem.status if problem else 200,
            person=None,
            next=next_path,
            provider=f"/api/v1/session/login?{urlencode({'next': next_path})}"
            if self.has_provider
            else None,
            problem=problem.detail if problem else "",
            was_away=next_path != "/" and problem is None,
        )

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        return await visits.sign_out(ApiClient(self.api, request))

    async def show_new(self, request: Request) -> Response:
        """Show the form of a new workspace; the query fills it in."""
        form = NewWorkspace.from_values(forms.parse_values(request.url.query))
        return await new_page.new_page(await self._visit(request), form)

    async def create(self, request: Request) -> Response:
        """Create a workspace, or only check the form."""
        visit, values = await self._visit_with_form(request)
        form = NewWorkspace.from_values(values)
        if "check" in values:
            return await new_page.check_new(visit, form)
        return await new_page.create(visit, form)

    async def show_platform(self, request: Request) -> Response:
        """Show all workspaces together."""
        return await platform_page.platform_page(await self._visit(request))

    async def change_upgrades(self, request: Request) -> Response:
        """Pause or resume upgrades."""
        visit, _ = await self._visit_with_form(request)
        action = request.url.path.rpartition("/")[2]
        return await platform_page.change_upgrades(visit, action)

    async def return_to_platform(self, request: Request) -> Response:
        """Leave the address of a change, which a reload or a bookmark asks for."""
        del request
        return rendering.redirect("/platform")

    async def show_models(self, request: Request) -> Response:
        """Show the catalogue of models; the query says what they are to fit."""
        visit = await self._visit(request)
        return await model_pages.catalogue_page(visit, request.query_params)

    async def show_teams(self, request: Request) -> Response:
        """Show the person's teams."""
        return await team_pages.teams_page(await self._visit(request))

    async def show_team(self, request: Request) -> Response:
        """Show a team."""
        return await team_pages.team_page(await self._visit(request), request.path_params["team"])

    async def change_team(self, request: Request) -> Response:
        """Change a team's members or tokens."""
        visit, values = await self._visit_with_form(request)
        team = request.path_params["team"]
        part = request.url.path.partition(f"/{team}/")[2]
        return await _TEAM_CHANGES[part](visit, team, values)

    async def return_to_team(self, request: Request) -> Response:
        """Leave the address of a change, which a reload or a bookmark asks for."""
        return rendering.redirect(team_path(request.path_params["team"]))

    async def add_model(self, request: Request) -> Response:
        """Add a model of the catalogue to a workspace."""
        visit, values = await self._visit_with_form(request)
        name, team = _address(request)
        await model_pages.add_model(visit, name, team, values)
        return visit.redirect(_workspace_path(name, team))

    async def show_workspace(self, request: Request) -> Response:
        """Show a workspace."""
        visit = await self._visit(request)
        return await workspace_pages.workspace_page(visit, *_address(request))

    async def show_credentials(self, request: Request) -> Response:
        """Show a workspace with its first administrator's sign-in data."""
        visit, _ = await self._visit_with_form(request)
        return await workspace_pages.credentials_page(visit, *_address(request))

    async def invite_to_chat(self, request: Request) -> Response:
        """Show a workspace with an account that was made in its chat."""
        visit, values = await self._visit_with_form(request)
        return await workspace_pages.invite_page(visit, *_address(request), values)

    async def ask(self, request: Request) -> Response:
        """Show a workspace with the reply to a prompt."""
        visit, values = await self._visit_with_form(request)
        prompt, model = forms.first(values, "prompt"), forms.first(values, "model")
        return await workspace_pages.prompt_page(visit, *_address(request), prompt, model)

    async def act(self, request: Request) -> Response:
        """Suspend, resume, restart or back up a workspace."""
        visit, _ = await self._visit_with_form(request)
        name, team = _address(request)
        action = request.url.path.rpartition("/")[2]
        await workspace_pages.change(visit, "POST", f"{visits.WORKSPACES}/{name}:{action}", team)
        return visit.redirect(_workspace_path(name, team))

    async def show_settings(self, request: Request) -> Response:
        """Show the form of a workspace's settings; the query fills fields in."""
        visit = await self._visit(request)
        query = dict(request.query_params)
        return await settings_pages.settings_page(visit, *_address(request), query)

    async def show_yaml(self, request: Request) -> Response:
        """Show a workspace's spec as YAML."""
        return await settings_pages.yaml_page(await self._visit(request), *_address(request))

    async def save_settings(self, request: Request) -> Response:
        """Show what a change of the settings does, or carry it out."""
        visit, values = await self._visit_with_form(request)
        return await settings_pages.save(visit, *_address(request), values)

    async def show_delete(self, request: Request) -> Response:
        """Show what deleting a workspace does."""
        return await workspace_pages.delete_page(await self._visit(request), *_address(request))

    async def delete(self, request: Request) -> Response:
        """Delete a workspace whose name was typed."""
        visit, values = await self._visit_with_form(request)
        name, team = _address(request)
        if forms.first(values, "confirm") != name:
            return await workspace_pages.delete_page(visit, name, team, 422, is_mismatch=True)
        await workspace_pages.change(visit, "DELETE", f"{visits.WORKSPACES}/{name}", team)
        return visit.redirect("/")

    async def show_restore(self, request: Request) -> Response:
        """Show what restoring a backup does."""
        visit, values = await self._visit(request), forms.parse_values(request.url.query)
        return await backup_pages.restore_page(visit, *_address(request), values)

    async def restore(self, request: Request) -> Response:
        """Restore a backup of a workspace whose name was typed."""
        visit, values = await self._visit_with_form(request)
        name, team = _address(request)
        refusal = await backup_pages.restore(visit, name, team, values)
        return refusal or visit.redirect(_workspace_path(name, team))

    async def show_clone(self, request: Request) -> Response:
        """Show the form of a clone; the query fills it in."""
        values = forms.parse_values(request.url.query)
        return await backup_pages.clone_page(await self._visit(request), *_address(request), values)

    async def clone(self, request: Request) -> Response:
        """Create a clone of a workspace."""
        visit, values = await self._visit_with_form(request)
        return await backup_pages.clone(visit, *_address(request), values)

    async def return_to_workspace(self, request: Request) -> Response:
        """Leave the address of an action, which a reload or a bookmark asks for."""
        return rendering.redirect(_workspace_path(*_address(request)))

    async def show_asset(self, request: Request) -> Response:
        """Send a style sheet, script or picture."""
        response = rendering.asset(request.path_params["revision"], request.path_params["file"])
        if response is None:
            raise ApiProblemError(NOT_FOUND)
        return response

    async def _visit(self, request: Request) -> visits.Visit:
        return self._held(request, await visits.begin_visit(ApiClient(self.api, request)))

    async def _visit_with_form(self, request: Request) -> tuple[visits.Visit, Values]:
        form = await forms.read_form(request)
        visit = await visits.begin_visit(ApiClient(self.api, request), form)
        return self._held(request, visit), form

    def _held(self, request: Request, visit: visits.Visit) -> visits.Visit:
        request.scope[HELD].enter_context(self.hold(visit.person.username))
        return visit


def _require_name(request: Request) -> None:
    """Raise ApiProblemError (404) for a path whose name no workspace or team can have."""
    for kind, pattern in (("name", _NAME), ("team", _TEAM)):
        name = request.path_params.get(kind)
        if name is not None and not pattern.fullmatch(name):
            raise ApiProblemError(NOT_FOUND)


def _local(path: str) -> str:
    """Return the path if it is one of this site, else `/`."""
    return path if is_local(path) else "/"


def _detail(problem: Problem) -> str:
    """Return what the page says; the API's own words where they are for people with a browser."""
    words = TEXTS.get(f"code_{problem.code}") or TEXTS.get(f"error_{problem.status}_help")
    return words or problem.detail


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{quote(request.url.path)}{query}"


def _address(request: Request) -> tuple[str, str]:
    """Return the workspace's name and team."""
    return request.path_params["name"], request.query_params.get("team", "")


def _workspace_path(name: str, team: str) -> str:
    query = forms.encode_team(team)
    return f"/workspaces/{name}" + (f"?{urlencode(query)}" if query else "")
