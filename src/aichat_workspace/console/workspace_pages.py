"""A workspace's own page, with what its forms bring; and the page that deletes it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from aichat_workspace.console import forms
from aichat_workspace.console.api_client import ApiProblemError
from aichat_workspace.console.backup_destinations import destinations_of
from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views import backups, rows, usage, workspaces
from aichat_workspace.console.views.states import Document
from aichat_workspace.console.visits import WORKSPACES, Visit


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
