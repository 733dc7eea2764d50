"""Checks of room: of quotas against what pods ask for, and of models against volume and memory."""

from collections.abc import Iterator, Sequence
from typing import Final

from aichat_workspace.cli.client.api import Json, workspace_path
from aichat_workspace.cli.doctor.finding import Category, Finding, Severity
from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.render.words import count
from aichat_workspace.cli.session import Session
from aichat_workspace.domain.models.capacity import STORAGE_FIELD, enough_storage_gib
from aichat_workspace.domain.models.name import InvalidModelNameError, model_key, parse_model
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.foundation import units

_QUOTA: Final = "AC405"
_MODELS: Final = "AC406"
_QUOTA_REASONS: Final = (Reason.QUOTA_TOO_SMALL, Reason.CEILING_EXCEEDED, Reason.POD_REFUSED)
_MAX_WORKSPACES: Final = 20
"""Those whose models are looked at, with two requests each."""


def quotas(documents: Sequence[Json]) -> Iterator[Finding]:
    """Yield which workspaces' quotas, or the platform's ceiling, have no room for their pods.

    The operator compares them with all that the pods ask for (domain.policy.limits).
    """
    problems = [finding for document in documents for finding in _quota_problems(document)]
    if documents and not problems:
        text = f"{count(len(documents), 'quota')} with room for what the pods ask for"
        yield Finding(_QUOTA, Category.WORKSPACES, Severity.GOOD, text)
    yield from problems


def _quota_problems(document: Json) -> Iterator[Finding]:
    conditions = (document.get("status") or {}).get("conditions") or ()
    messages = {
        str(condition["message"]): reason
        for condition in conditions
        for reason in _QUOTA_REASONS
        if condition["reason"] == reason and condition["message"]
    }
    for message, reason in messages.items():
        text, fix = f"{document['name']}: {message}", reason.fix.replace("`", "")
        fix += f" See: aichatctl edit {document['name']}"
        yield Finding(_QUOTA, Category.WORKSPACES, Severity.PROBLEM, text, fix)


def models(session: Session, documents: Sequence[Json]) -> Iterator[Finding]:
    """Yield which models do not fit their workspace's volume or memory, before they are pulled."""
    waiting = [document for document in documents if _missing(document)]
    findings = [
        finding
        for document in waiting[:_MAX_WORKSPACES]
        for finding in _model_problems(session, document)
    ]
    if documents and not findings:
        text = "models fit their workspaces' volumes and memory, or have no size that is known"
        yield Finding(_MODELS, Category.WORKSPACES, Severity.GOOD, text)
    yield from findings
    if rest := waiting[_MAX_WORKSPACES:]:
        text = f"models of {count(len(rest), 'workspace')} more were not looked at"
        fix = "aichatctl models catalogue --workspace NAME"
        yield Finding(_MODELS, Category.WORKSPACES, Severity.NOTE, text, fix)


def _missing(document: Json) -> list[str]:
    """Return the keys of the models that a workspace asks for and does not have."""
    entries = (document.get("status") or {}).get("models") or ()
    present = {model_key(str(entry["name"])) for entry in entries if entry["state"] == "Ready"}
    wished = [_key(str(model)) for model in (document.get("spec") or {}).get("models") or ()]
    wished += [model_key(str(entry["name"])) for entry in entries if entry["state"] != "Removing"]
    return [key for key in dict.fromkeys(wished) if key not in present]


def _key(model: str) -> str:
    try:
        return model_key(str(parse_model(model)))
    except InvalidModelNameError:  # an earlier version has accepted it
        return model_key(model)


def _model_problems(session: Session, document: Json) -> Iterator[Finding]:
    name, team = str(document["name"]), document["team"]
    what = f"what the models of {name} need was not read"
    try:
        query = {"workspace": name, "team": team}
        catalogue = session.api.get(what, "/api/v1/catalogue", query).document["items"]
        path = workspace_path(name, "/usage")
        usage = session.api.get(what, path, {"team": team}).document
    except CliError as error:
        text = "; ".join((error.what, *error.why))
        yield Finding(_MODELS, Category.WORKSPACES, Severity.NOTE, text, error.fix)
        return
    missing = set(_missing(document))
    entries = [entry for entry in catalogue if model_key(str(entry["name"])) in missing]
    problems = [finding for entry in entries for finding in _misfit(name, entry)]
    yield from problems or _misfit_together(name, entries, usage)


def _misfit(name: str, entry: Json) -> Iterator[Finding]:
    severity = Severity.PROBLEM if entry["fits"] is False else Severity.NOTE
    for change in entry["toRaise"]:
        fix = f"aichatctl edit {name}: {change['field']} to {change['to']}"
        text = f"{name}: {change['message']}"
        yield Finding(_MODELS, Category.WORKSPACES, severity, text, fix)


def _misfit_together(name: str, entries: Sequence[Json], usage: Json) -> Iterator[Finding]:
    """Yield whether models of which each one fits are too large for the volume together."""
    volume = next((volume for volume in usage["volumes"] if volume["name"] == "ollama"), None)
    if volume is None:
        return
    present = {model_key(str(model["name"])): int(model["bytes"]) for model in usage["models"]}
    missing_bytes = sum(
        max(int(entry["sizeBytes"] or 0) - present.get(model_key(str(entry["name"])), 0), 0)
        for entry in entries
    )
    total_bytes = int(volume["modelBytes"] or 0) + missing_bytes
    capacity_bytes = int(volume["capacityBytes"] or volume["requestedBytes"])
    enough = enough_storage_gib(total_bytes)
    if missing_bytes and enough * 2**30 > capacity_bytes:
        text = (
            f"{name}: its models need {units.size(total_bytes)} together, and their volume has "
            f"{units.size(capacity_bytes)}"
        )
        fix = f"aichatctl edit {name}: {STORAGE_FIELD} to {enough}Gi, or remove a model"
        yield Finding(_MODELS, Category.WORKSPACES, Severity.PROBLEM, text, fix)
