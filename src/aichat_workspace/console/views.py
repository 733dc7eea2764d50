"""What pages show of the API's documents: pure, from a document and the present time to a view."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from aichat_workspace.console import units
from aichat_workspace.console.texts import TEXTS
from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.reasons import Severity
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType, Phase

Document = Mapping[str, Any]

# A newer operator may know further phases and states: they are shown as they are.
_TONES: Final[Mapping[str, str]] = {
    Phase.PENDING: "working",
    Phase.PROVISIONING: "working",
    Phase.PULLING_MODELS: "working",
    Phase.READY: "good",
    Phase.DEGRADED: "trouble",
    Phase.SUSPENDED: "idle",
    Phase.TERMINATING: "idle",
}
_MODEL_TONES: Final[Mapping[str, str]] = {
    ModelState.PENDING: "idle",
    ModelState.PULLING: "working",
    ModelState.READY: "good",
    ModelState.FAILED: "trouble",
    ModelState.REMOVING: "idle",
}
_STEPS: Final = (
    ConditionType.PROVISIONED,
    ConditionType.OLLAMA_AVAILABLE,
    ConditionType.OPENWEBUI_AVAILABLE,
    ConditionType.MODELS_READY,
    ConditionType.READY,
)
# A condition that changed later than this says nothing of how the workspace came up.
_BRING_UP_SECONDS: Final = 3_600
_EVENTS: Final = 15


@dataclass(frozen=True, slots=True)
class State:
    """A state as a word and a sign."""

    word: str
    tone: str
    """good, working, trouble or idle: the sign and the colour."""


@dataclass(frozen=True, slots=True)
class Time:
    """A moment, as an age and exactly."""

    exact: str
    age: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model and how far it is."""

    name: str
    state: State
    percent: int | None
    """The downloaded part while it is being downloaded."""
    note: str
    """Sizes, speed and time left, or what is wrong."""


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


@dataclass(frozen=True, slots=True)
class Row:
    """A workspace in the list."""

    key: str
    """Unique on the page and the same at each refresh."""
    name: str
    team: str
    path: str
    """Its page, with the query that names its team."""
    state: State
    models: str
    note: str
    percent: int | None
    url: str | None
    created: Time
    is_suspended: bool
    is_deleting: bool

    def action(self, name: str) -> str:
        """Return the path of an action of its page."""
        path, _, query = self.path.partition("?")
        return f"{path}/{name}?{query}"


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
class PhaseFilter:
    """A link that filters the list by phase."""

    label: str
    count: int | None
    """None where only a part of the list is known."""
    query: str
    is_current: bool


def time(text: str, now: datetime) -> Time:
    """Return the view of an RFC 3339 time."""
    moment = datetime.fromisoformat(text)
    return Time(moment.isoformat(sep=" ", timespec="seconds"), units.age(moment, now))


def row(document: Document, now: datetime) -> Row:
    """Return the view of one workspace in the list."""
    name, team, status = document["name"], document["team"], document["status"]
    models = status.get("models") or ()
    pulling = next((model for model in models if model["state"] == ModelState.PULLING), None)
    return Row(
        key=f"{team}/{name}",
        name=name,
        team=team,
        path=f"/workspaces/{quote(name, safe='')}?{urlencode({'team': team})}",
        state=state(document),
        models=", ".join(document["spec"].get("models") or ()),
        note=_note(document, pulling),
        percent=_percent(pulling) if pulling else None,
        url=safe_url(status.get("url")),
        created=time(document["created"], now),
        is_suspended=bool(document["spec"].get("suspended")),
        is_deleting=document["deleting"],
    )


def state(document: Document) -> State:
    """Return the workspace's state; one that is being deleted is in no other."""
    phase = Phase.TERMINATING if document["deleting"] else document["status"].get("phase", "")
    return State(TEXTS.get(phase, phase), _TONES.get(phase, "idle"))


def safe_url(url: object) -> str | None:
    """Return an address that a link may have; None for another scheme, as `javascript:`."""
    is_http = isinstance(url, str) and url.startswith(("https://", "http://"))
    return str(url) if is_http else None


def workspace(document: Document, diagnosis: Document, now: datetime) -> Workspace:
    """Return the view of a workspace's page."""
    spec, status = document["spec"], document["status"]
    problems = findings(diagnosis["findings"])
    is_explained = any(finding.message == diagnosis["summary"] for finding in problems)
    models = tuple(_model(model) for model in status.get("models") or ())
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


def phase_filters(
    documents: Sequence[Document], query: Mapping[str, str], *, is_whole: bool
) -> tuple[PhaseFilter, ...]:
    """Return a link for each phase that occurs, and one for all.

    `documents` are those of the present filter; counts are shown only where they are all that
    there are, and not already filtered by phase.
    """
    current = query.get("phase", "")
    counts = Counter(str(document["status"].get("phase")) for document in documents)
    rest = {name: value for name, value in query.items() if name not in ("phase", "page")}
    is_counted = is_whole and not current
    phases = [phase for phase in Phase if phase in counts or phase == current]
    everything = PhaseFilter(
        TEXTS["all_phases"],
        len(documents) if is_counted else None,
        f"?{urlencode(rest)}" if rest else "/",
        not current,
    )
    return (
        everything,
        *(
            PhaseFilter(
                TEXTS[phase],
                counts[phase] if is_counted else None,
                f"?{urlencode({**rest, 'phase': str(phase)})}",
                phase == current,
            )
            for phase in phases
        ),
    )


def _finding(document: Document) -> Finding:
    return Finding(
        title=_finding_title(document["condition"]),
        message=document["message"],
        advice=document["advice"],
        tone="trouble" if document["severity"] == Severity.ERROR else "working",
        code=document["code"],
    )


def _finding_title(condition: str) -> str:
    """Return the title of a condition, or of a model or pattern, as `Model gemma2:2b`."""
    return TEXTS.get(f"step_{condition}") or condition[:1].upper() + condition[1:]


def _note(document: Document, pulling: Document | None) -> str:
    if pulling is not None:
        return _model(pulling).note
    status = document["status"]
    if status.get("phase") != Phase.DEGRADED:
        return ""
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    return str(conditions.get(ConditionType.READY, {}).get("message", ""))


def _model(document: Document) -> Model:
    kind = document["state"]
    is_pulling = kind == ModelState.PULLING
    return Model(
        name=document["name"],
        state=State(TEXTS.get(f"model_{kind}", kind), _MODEL_TONES.get(kind, "idle")),
        percent=_percent(document) if is_pulling else None,
        note=document.get("message") or (_download(document) if is_pulling else _size(document)),
    )


def _percent(document: Document) -> int:
    return int(document.get("percent", 0))


def _size(document: Document) -> str:
    total = document.get("totalBytes", 0)
    return units.size(total) if total else ""


def _download(document: Document) -> str:
    total, rate = document.get("totalBytes", 0), document.get("bytesPerSecond", 0)
    eta = document.get("etaSeconds")
    done = units.size(document.get("completedBytes", 0))
    return " · ".join(
        [
            f"{_percent(document)} %",
            *([TEXTS["about"].format(bytes=done, total=units.size(total))] if total else []),
            *([TEXTS["rate"].format(rate=units.size(rate))] if rate else []),
            *([TEXTS["eta"].format(eta=units.span(eta))] if eta is not None else []),
        ]
    )


def _steps(document: Document, now: datetime) -> Iterable[Step]:
    conditions = {entry["type"]: entry for entry in document["status"].get("conditions") or ()}
    created = datetime.fromisoformat(document["created"])
    for kind in _STEPS:
        condition = conditions.get(kind)
        if condition is None:
            yield Step(TEXTS[f"step_{kind}"], State("", "idle"), "")
            continue
        changed = datetime.fromisoformat(condition["lastTransitionTime"])
        seconds = (changed - created).total_seconds()
        is_met = condition["status"] == "True"
        is_bring_up = is_met and seconds < _BRING_UP_SECONDS
        note = units.span(seconds) if is_bring_up else units.age(changed, now)
        yield Step(
            TEXTS[f"step_{kind}"],
            State(condition["status"], "good" if is_met else "working"),
            note if is_bring_up else f"{TEXTS['for']} {note}",
        )
