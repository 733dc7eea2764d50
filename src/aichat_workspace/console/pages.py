"""Pages, each from the API's answers to one request of a browser."""

import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from aichat_workspace.console import forms, rendering
from aichat_workspace.console.api_client import ApiClient, ApiProblemError, Problem
from aichat_workspace.console.forms import NewWorkspace, Values
from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views import backups, rows, usage, workspaces
from aichat_workspace.console.views.states import Document
from aichat_workspace.foundation.local_path import is_local

WORKSPACES: Final = "/api/v1/workspaces"
_SESSION: Final = "/api/v1/session"
_LIMIT: Final = "100"
_FILTERS: Final = ("q", "team", "phase", "condition", "sort", "page")
_MODELS_SHOWN: Final = 12
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
    can_create = bool(await _teams_to_create_in(visit, at_most=1))
    return answer["items"], answer["nextPage"], can_create


async def _teams_to_create_in(visit: Visit, at_most: int = _TEAMS_SHOWN) -> list[str]:
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
    teams = await _teams_to_create_in(visit)
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


async def workspace_page(
    visit: Visit, name: str, team: str, status: int = 200, **parts: Any
) -> Response:
    """Return a workspace's page; `parts` are credentials, an invitation, or a prompt."""
    query, path, now = forms.encode_team(team), f"{WORKSPACES}/{name}", datetime.now(UTC)
    document = await visit.api.get(path, query)
    diagnosis = await visit.api.get(f"{path}/diagnosis", query)
    events, events_problem = await _items(visit, f"{path}/events", query)
    gauges, usage_problem = await _gauges(visit, f"{path}/usage", query)
    history, history_problem = await _items(visit, f"{path}/history", query)
    backup_card = await _backups(visit, document, query)
    return visit.page(
        "workspace.html",
        status,
        workspace=workspaces.workspace(document, diagnosis, now),
        events=workspaces.events(events, now),
        events_problem=events_problem,
        backups=backup_card,
        gauges=gauges,
        usage_problem=usage_problem,
        history=workspaces.history(history, now),
        history_problem=history_problem,
        **{"credentials": None, "invitation": ChatInvitation(), "prompt": None, **parts},
    )


async def _backups(
    visit: Visit, document: Document, query: Mapping[str, str]
) -> backups.Backups | None:
    """Return the card of a workspace's backups; None where it can't be read."""
    team, now = document["team"], datetime.now(UTC)
    try:
        listing = await visit.api.get(f"{WORKSPACES}/{document['name']}/backups", query)
        can_change, can_create = [
            (await visit.api.get("/api/v1/me/can-i", {"verb": verb, "team": team}))["allowed"]
            for verb in ("patch", "create")
        ]
        destinations = await destinations_of(visit, team)
    except ApiProblemError as error:
        if error.problem.status == 401:
            raise
        return None
    rights = backups.Rights(can_change, can_create, bool(destinations))
    return backups.backups(document, listing, rows.row(document, now), rights, now)


async def destinations_of(visit: Visit, team: str) -> Sequence[Document]:
    """Return where backups may go; nothing for who may read a workspace and not list the team's."""
    try:
        document = await visit.api.get("/api/v1/options", {"team": team})
    except ApiProblemError as error:
        if error.problem.status not in (403, 404):
            raise
        return ()
    destinations: Sequence[Document] = document["backupDestinations"]
    return destinations


async def _items(
    visit: Visit, path: str, query: Mapping[str, str]
) -> tuple[Sequence[Document], str]:
    """Return the items, and why they could not be read."""
    try:
        return (await visit.api.get(path, query))["items"], ""
    except ApiProblemError as error:
        if error.problem.status == 401:
            raise
        return (), error.problem.detail


async def _gauges(
    visit: Visit, path: str, query: Mapping[str, str]
) -> tuple[Sequence[usage.Gauge], str]:
    """Return what is used, and why it could not be read."""
    try:
        return usage.workspace_gauges(await visit.api.get(path, query)), ""
    except ApiProblemError as error:
        if error.problem.status == 401:
            raise
        return (), error.problem.detail


async def credentials_page(visit: Visit, name: str, team: str) -> Response:
    """Return the page with the first administrator's sign-in data; the API records it."""
    path = f"{WORKSPACES}/{name}/credentials"
    credentials = await visit.api.get(path, forms.encode_team(team))
    return await workspace_page(visit, name, team, credentials=credentials)


@dataclass(frozen=True, slots=True)
class ChatInvitation:
    """Who is invited to a chat, and what was wrong or what the person signs in with."""

    email: str = ""
    name: str = ""
    role: str = "user"
    error: str = ""
    account: Document | None = None


async def invite_page(visit: Visit, name: str, team: str, values: forms.Values) -> Response:
    """Return the page with the account that was made in the chat, whose password is shown this
    once; the form again where something is wrong."""
    entered = {field: forms.first(values, field) for field in ("email", "name", "role")}
    path = f"{WORKSPACES}/{name}:inviteToChat"
    try:
        account = await visit.api.call("POST", path, forms.encode_team(team), entered)
    except ApiProblemError as error:
        if error.problem.status in (401, 404) or error.problem.code == "csrf-token":
            raise
        failed = ChatInvitation(
            entered["email"], entered["name"], entered["role"], error.problem.detail
        )
        return await workspace_page(visit, name, team, error.problem.status, invitation=failed)
    invitation = ChatInvitation(account=account)
    return await workspace_page(visit, name, team, 201, invitation=invitation)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, and its reply or what was wrong."""

    text: str
    model: str
    reply: str = ""
    note: str = ""
    error: str = ""


async def prompt_page(visit: Visit, name: str, team: str, text: str, model: str) -> Response:
    """Return the page with the whole reply to a prompt, for browsers without the script."""
    body = {"prompt": text, "stream": False, **({"model": model} if model else {})}
    path, began = f"{WORKSPACES}/{name}:prompt", time.monotonic()
    try:
        answer = await visit.api.call("POST", path, forms.encode_team(team), body)
    except ApiProblemError as error:
        if error.problem.status in (401, 404) or error.problem.code == "csrf-token":
            raise
        failed = Prompt(text, model, error=error.problem.detail)
        return await workspace_page(visit, name, team, error.problem.status, prompt=failed)
    seconds = f"{time.monotonic() - began:.1f}"
    note = TEXTS["prompt_done"].format(model=answer["model"], seconds=seconds)
    prompt = Prompt(text, model, answer["reply"], note)
    return await workspace_page(visit, name, team, prompt=prompt)


async def delete_page(
    visit: Visit, name: str, team: str, status: int = 200, *, is_mismatch: bool = False
) -> Response:
    """Return the page that asks for the name before it deletes."""
    document = await visit.api.get(f"{WORKSPACES}/{name}", forms.encode_team(team))
    now = datetime.now(UTC)
    no_diagnosis: dict[str, Any] = {"summary": "", "findings": ()}
    view = workspaces.workspace(document, no_diagnosis, now)
    return visit.page("delete.html", status, workspace=view, is_mismatch=is_mismatch)


async def change(visit: Visit, method: str, path: str, team: str) -> None:
    """Carry out an action of the API on a workspace. Raises ApiProblemError."""
    await visit.api.call(method, path, forms.encode_team(team))
