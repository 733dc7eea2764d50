"""Workspaces in a list."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from aichat_workspace.cli.render import words
from aichat_workspace.cli.render.lines import Line, Span, Style, line, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.foundation import activity, states, units

Json = Mapping[str, Any]

_SIGNS: Final[Mapping[states.Tone, tuple[str, Style]]] = {
    "good": ("●", Style.GOOD),
    "working": ("◐", Style.WORKING),
    "trouble": ("▲", Style.BAD),
    "idle": ("○", Style.FAINT),
}
_COLUMNS: Final = (
    Column("WORKSPACE", min_width=12),
    Column("TEAM", rank=3, min_width=8),
    Column("STATE"),
    Column("MODELS", rank=2),
    Column("URL", rank=4, min_width=20),
    Column("AGE", rank=1),
    Column("", rank=5, min_width=16),
)
_WIDE: Final = (
    *_COLUMNS[:-1],
    Column("LAST USED", rank=6),
    Column("CREATED", rank=6),
    Column("REQUESTED BY", rank=7, min_width=12),
    Column("COST CENTRE", rank=9, min_width=8),
    Column("DISPLAY NAME", rank=10, min_width=12),
    Column("BACKED UP", rank=11, min_width=9),
    Column("NAMESPACE", rank=8, min_width=12),
    _COLUMNS[-1],
)


def phase_of(document: Json) -> str:
    """Return the phase, also of a workspace that the operator has not seen yet."""
    if document.get("deleting"):
        return "Terminating"
    return str((document.get("status") or {}).get("phase") or "Pending")


def state(document: Json) -> Span:
    """Return a workspace's state as a sign and a word."""
    return _span(states.phase_state(phase_of(document)))


def model_state(model: Json) -> Span:
    """Return a model's or pattern's state as a sign and a word."""
    return _span(states.model_state(str(model.get("state"))))


def _span(state: states.State) -> Span:
    sign, style = _SIGNS[state.tone]
    return Span(f"{sign} {plain(state.word)}", style)


def condition(document: Json, kind: str) -> Json:
    """Return a condition; an empty one before it was first written."""
    conditions = (document.get("status") or {}).get("conditions") or ()
    return next((entry for entry in conditions if entry.get("type") == kind), {})


def record_of(document: Json) -> Json:
    """Return what the operator reports of a workspace's backups; empty before the first run."""
    return (document.get("status") or {}).get("backup") or {}


def failure_of(record: Json) -> str:
    """Return why a run has failed; empty for one that has not."""
    if record.get("state") != "Failed":
        return ""
    return _with_reason(record, "it has failed")


def _with_reason(entry: Json, otherwise: str) -> str:
    """Return the message, with the reason that programs and the troubleshooting page know."""
    message, reason = str(entry.get("message") or ""), str(entry.get("reason") or "")
    return f"{message} ({reason})" if message and reason else message or reason or otherwise


def backup_problem(document: Json) -> str:
    """Return why a workspace is not backed up as it asks for; empty where all is well.

    The condition also tells of backups that are overdue, or have no place, after a run that was
    well; it is away once spec.backup is taken out.
    """
    entry = condition(document, "BackedUp")
    if entry.get("status") == "False":
        return _with_reason(entry, "it is not backed up")
    return failure_of(record_of(document))


def models_of(document: Json) -> list[dict[str, Any]]:
    """Return how far each model is."""
    return list((document.get("status") or {}).get("models") or ())


def hint(document: Json) -> str:
    """Return in a few words what a workspace waits for or needs; empty where it is well."""
    phase = phase_of(document)
    if phase == "PullingModels":
        pulling = [model for model in models_of(document) if model.get("state") == "Pulling"]
        return ", ".join(words.progress_of(model) for model in pulling)
    if phase == "Degraded":
        return str(condition(document, "Ready").get("message") or "")
    return ""


def workspace_table(
    documents: Iterable[Json], now: datetime, width: int | None, *, wide: bool = False
) -> list[Line]:
    """Return workspaces as a table."""
    rows = [_row(document, now, wide=wide) for document in documents]
    if not rows:
        return [line("no workspaces; aichatctl create NAME makes one")]
    return table(_WIDE if wide else _COLUMNS, rows, width)


def _row(document: Json, now: datetime, *, wide: bool) -> Sequence[Span]:
    status = document.get("status") or {}
    cells = [
        Span(plain(str(document.get("name", "")))),
        Span(plain(str(document.get("team", "")))),
        state(document),
        Span(plain(str(status.get("modelsReady") or "").partition(" ")[0])),
        Span(plain(str(status.get("url") or ""))),
        Span(units.age(units.seconds_since(str(document["created"]), now))),
    ]
    if wide:
        spec = document.get("spec") or {}
        namespace = (status.get("namespace") or {}).get("name") or ""
        cells += [
            Span(activity.brief(status.get("activity"), now)),
            Span(str(document["created"])),
            Span(plain(str(document.get("requestedBy") or ""))),
            Span(plain(str(spec.get("costCentre") or ""))),
            Span(plain(str(spec.get("displayName") or ""))),
            _backed_up(document, now),
            Span(plain(str(namespace))),
        ]
    return [*cells, Span(plain(hint(document)), Style.FAINT)]


def _backed_up(document: Json, now: datetime) -> Span:
    """Return how long ago a workspace was backed up, and whether backups fail."""
    succeeded_at = record_of(document).get("succeededAt")
    age = units.age(units.seconds_since(str(succeeded_at), now)) if succeeded_at else "-"
    if backup_problem(document):
        return Span(f"{age} ▲ failed", Style.BAD)
    return Span(age)
