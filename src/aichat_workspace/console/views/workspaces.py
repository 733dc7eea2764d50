"""A workspace on its page: what is wrong, how it came up, its models and events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views.rows import Row, row
from aichat_workspace.console.views.states import Document, Model, Time, model, time
from aichat_workspace.domain.reasons import Reason, Severity
from aichat_workspace.foundation import units
from aichat_workspace.foundation.changes import change_words
from aichat_workspace.foundation.states import STEPS, State, Tone

# Not met and yet good: a suspended workspace.
_TONES: Final[Mapping[Severity, Tone]] = {Severity.ERROR: "trouble", Severity.GOOD: "idle"}
# A condition that changed later than this says nothing of how the workspace came up.
_BRING_UP_SECONDS: Final = 3_600


_CHANGES: Final = 10
_EVENTS: Final = 15

# Reasons that a field of the settings mends (domain/reasons.py says so in words).
_FIXED_BY: Final[Mapping[str, str]] = {
    Reason.MODELS_VOLUME_FULL: "storage.ollama.size",
    Reason.MODEL_TOO_LARGE: "storage.ollama.size",
    Reason.MODEL_NEEDS_MEMORY: "resources.ollama.memoryLimit",
    Reason.EXPIRES_SOON: "expiresAfter",
    Reason.BACKUP_DESTINATION_NOT_ALLOWED: "backup.destination",
    Reason.BACKUP_DESTINATION_NOT_FOUND: "backup.destination",
    Reason.HOST_NOT_ALLOWED: "ingress.host",
    Reason.HOST_TAKEN: "ingress.host",
    **dict.fromkeys(
        (
            Reason.MODEL_DIGEST_DIFFERS,
            Reason.MODEL_HOSTED,
            Reason.MODEL_NOT_FOUND,
            Reason.MODEL_NOT_LISTED,
            Reason.MODEL_REFUSED,
            Reason.REGISTRY_NOT_ALLOWED,
        ),
        "models",
    ),
}
_RAISED: Final = frozenset(
    {
        Reason.EXPIRES_SOON,
        Reason.MODEL_NEEDS_MEMORY,
        Reason.MODEL_TOO_LARGE,
        Reason.MODELS_VOLUME_FULL,
    }
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the bring-up."""

    title: str
    state: State
    note: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem, and what to do."""

    title: str
    message: str
    advice: str
    tone: str
    """trouble for what a person has to mend, else working."""
    code: str
    """What documentation and alerts call it; empty for an unknown one."""
    field: str
    """The field of the settings that mends it; empty where it is not one field."""
    is_raised: bool
    """Whether a larger number in that field mends it."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace on its page."""

    row: Row
    summary: str
    """Where it is, in a sentence; empty where a finding says it."""
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]
    models: tuple[Model, ...]
    patterns: tuple[str, ...]
    requested_by: str | None
    keeps_data: bool
    """Whether the namespace stays when the workspace is deleted."""
    can_prompt: bool
    prompt_models: tuple[str, ...]
    api_path: str
    """Its address in the API."""
    watch: str
    """The stream of its changes."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    time: Time
    is_warning: bool
    reason: str
    message: str
    object: str
    count: int


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was done to it."""

    time: Time
    author: str
    """Who did it; the field manager of what came another way than the API."""
    is_person: bool
    words: str
    """What it was."""


def workspace(document: Document, diagnosis: Document, now: datetime) -> Workspace:
    """Return the view of a workspace's page."""
    spec, status = document["spec"], document["status"]
    problems = findings(diagnosis["findings"])
    is_explained = any(finding.message == diagnosis["summary"] for finding in problems)
    models = tuple(map(model, status.get("models") or ()))
    patterns = tuple(pattern["name"] for pattern in status.get("patterns") or ())
    usable = [model.name for model in models if model.state.tone == "good"]
    query = urlencode({"team": document["team"], "name": document["name"]})
    return Workspace(
        row=row(document, now),
        summary="" if is_explained else diagnosis["summary"],
        findings=problems,
        steps=tuple(_steps(document, now)),
        models=models,
        patterns=patterns,
        requested_by=document["requestedBy"],
        keeps_data=spec.get("deletionPolicy") == "Retain",
        can_prompt=bool(usable) and not spec.get("suspended") and not document["deleting"],
        prompt_models=(*usable, *patterns),
        api_path=f"/api/v1/workspaces/{quote(document['name'], safe='')}",
        watch=f"/api/v1/workspaces:watch?{query}",
    )


def findings(documents: Iterable[Document]) -> tuple[Finding, ...]:
    """Return each problem once: a condition often repeats what a model or pattern says of itself.

    The later of two with the same message is the more exact one, unless it is less urgent.
    """
    by_message: dict[str, Document] = {}
    for document in documents:
        known = by_message.setdefault(document["message"], document)
        if known["severity"] == document["severity"]:
            by_message[document["message"]] = document
    return tuple(map(_finding, by_message.values()))


def event(document: Document, now: datetime) -> Event:
    """Return the view of an event."""
    return Event(
        time=time(document["time"], now),
        is_warning=document["type"] == "Warning",
        reason=document["reason"],
        message=document["message"],
        object=document["object"],
        count=document["count"],
    )


def events(documents: Iterable[Document], now: datetime) -> tuple[Event, ...]:
    """Return the newest events."""
    return tuple(event(document, now) for document in [*documents][:_EVENTS])


def history(documents: Iterable[Document], now: datetime) -> tuple[Change, ...]:
    """Return the newest changes."""
    return tuple(
        Change(
            time=time(document["time"], now),
            author=document["user"] or document["manager"] or TEXTS["unknown"],
            is_person=document["user"] is not None,
            words=change_words(document),
        )
        for document in [*documents][:_CHANGES]
    )


def _finding(document: Document) -> Finding:
    return Finding(
        title=_finding_title(document["condition"]),
        message=document["message"],
        advice=document["advice"],
        tone="trouble" if document["severity"] == Severity.ERROR else "working",
        code=document["code"],
        field=_FIXED_BY.get(document["reason"], ""),
        is_raised=document["reason"] in _RAISED,
    )


def _finding_title(condition: str) -> str:
    """Return the title of a condition, or of a model or pattern, as `Model gemma2:2b`."""
    return _capital(STEPS.get(condition, condition))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _steps(document: Document, now: datetime) -> Iterable[Step]:
    conditions = {entry["type"]: entry for entry in document["status"].get("conditions") or ()}
    created = datetime.fromisoformat(document["created"])
    for kind, words in STEPS.items():
        title, condition = _capital(words), conditions.get(kind)
        if condition is None:
            yield Step(title, State("", "idle"), "")
            continue
        changed = datetime.fromisoformat(condition["lastTransitionTime"])
        seconds = (changed - created).total_seconds()
        is_met = condition["status"] == "True"
        is_bring_up = is_met and seconds < _BRING_UP_SECONDS
        note = units.span(seconds if is_bring_up else (now - changed).total_seconds())
        yield Step(
            title,
            State(condition["status"], "good" if is_met else _tone(condition["reason"])),
            note if is_bring_up else f"{TEXTS['for']} {note}",
        )


def _tone(reason: str) -> Tone:
    """Return the tone of a condition that is not met; an unknown reason is for a person, too."""
    known = Reason.known(reason)
    return _TONES.get(known.severity, "working") if known else "trouble"
