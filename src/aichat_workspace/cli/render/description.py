"""One report: what a workspace is, why it is or is not ready, and what to type next."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from aichat_workspace.cli.render.backups import last_backup
from aichat_workspace.cli.render.history import history_table
from aichat_workspace.cli.render.lines import (
    BLANK,
    Line,
    Span,
    Style,
    fit,
    line,
    paragraph,
    plain,
)
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.cli.render.workspaces import (
    condition,
    model_state,
    models_of,
    phase_of,
    state,
)
from aichat_workspace.foundation import activity, units

Json = Mapping[str, Any]
_LABEL: Final = 15
_LABELS: Final = {"Waiting": "Waits", "Warning": "Note"}
# What can be typed for a reason; elsewhere the API's advice says what to change.
_COMMANDS: Final = {
    "ModelsVolumeFull": (
        "aichatctl edit {name} --models-volume SIZE",
        "aichatctl models remove {name} MODEL",
    ),
    "ModelTooLarge": (
        "aichatctl edit {name} --models-volume SIZE",
        "aichatctl models remove {name} MODEL",
    ),
    "ModelNeedsMemory": (
        "aichatctl edit {name} --set resources.ollama.memoryLimit=SIZE",
        "aichatctl models remove {name} MODEL",
    ),
    "ModelNotFound": ("aichatctl models remove {name} MODEL",),
    "HostTaken": ("aichatctl edit {name} --set ingress.host=HOST",),
    "Suspended": ("aichatctl resume {name}",),
    "BackupOverdue": ("aichatctl backup {name} --wait",),
    "BackupWaiting": ("aichatctl backup {name} --wait",),
    "CrashLoop": ("aichatctl logs {name} --previous",),
}
_EVENTS: Final = 5
_CHANGES: Final = 5


def describe(
    document: Json,
    diagnosis: Json,
    events: Sequence[Json],
    history: Sequence[Json],
    now: datetime,
    width: int | None,
) -> list[Line]:
    """Return the report, with the last events and changes; they come with the newest first."""
    return [
        *_head(document, diagnosis, now, width),
        BLANK,
        *_metadata(document, width),
        *_facts(document, now, width),
        *_models(document, width),
        *_history(history, now, width),
        *_events(events, now, width),
    ]


def _head(document: Json, diagnosis: Json, now: datetime, width: int | None) -> Iterator[Line]:
    since = condition(document, "Ready").get("lastTransitionTime") or document["created"]
    yield fit(
        (
            Span(plain(str(document["name"])), Style.TITLE),
            Span(f"  team {plain(str(document['team']))}  "),
            state(document),
            Span(f" for {units.age(units.seconds_since(str(since), now))}"),
        ),
        width,
    )
    findings = diagnosis.get("findings") or ()
    if not findings:
        yield from _labelled("Why", str(diagnosis.get("summary") or ""), width)
    for finding in findings:
        label = _LABELS.get(str(finding.get("severity")), "Why")
        yield from _labelled(label, finding_text(finding), width)
        if finding.get("advice"):
            yield from _labelled("Fix", str(finding["advice"]), width)
        for number, command in enumerate(_COMMANDS.get(str(finding["reason"]), ())):
            text = command.format(name=document["name"])
            yield from _labelled("or" if number else "Try", text, width)
    yield from _labelled("Next", _next_step(document), width)


def finding_text(finding: Json) -> str:
    """Return what is wrong, with the code by which it is explained."""
    code = finding.get("code") or finding["reason"]
    return f"{finding['condition']}: {finding['message']} [{code}]"


def _next_step(document: Json) -> str:
    name, phase = document["name"], phase_of(document)
    return {
        "Ready": f"aichatctl open {name}",
        "Suspended": f"aichatctl resume {name}",
        "Degraded": f"aichatctl edit {name}",
        "Terminating": f"aichatctl wait {name} --for deleted",
    }.get(phase, f"aichatctl wait {name}")


def _metadata(document: Json, width: int | None) -> Iterator[Line]:
    """Yield what its people say of it."""
    spec = document.get("spec") or {}
    labels = (f"{key}={value}" for key, value in sorted((spec.get("labels") or {}).items()))
    for label, text in (
        ("Display name", spec.get("displayName")),
        ("Description", spec.get("description")),
        ("Cost centre", spec.get("costCentre")),
        ("Labels", ", ".join(labels)),
    ):
        if text:
            yield from _labelled(label, " ".join(str(text).split()), width)


def _facts(document: Json, now: datetime, width: int | None) -> Iterator[Line]:
    status, spec = document.get("status") or {}, document.get("spec") or {}
    if status.get("url"):
        yield from _labelled("URL", str(status["url"]), width)
    resources = status.get("resources") or ()
    if resources:
        present = sum(entry.get("state") == "Present" for entry in resources)
        yield from _labelled("Objects", f"{present} of {len(resources)}", width)
    for part, kind in (("Server", "OllamaAvailable"), ("Chat", "OpenWebUIAvailable")):
        entry = condition(document, kind)
        if entry:
            text = str(entry.get("message") or entry.get("reason") or "")
            yield from _labelled(part, "runs" if entry["status"] == "True" else text, width)
    yield from _labelled("Last used", activity.sentence(status.get("activity"), now), width)
    quota = spec.get("quota") or {}
    if quota:
        limits = ", ".join(f"{key} {value}" for key, value in quota.items())
        yield from _labelled("Quota", limits, width)
    if backup := last_backup(document, now):
        yield from _labelled("Backed up", backup.text, width)
    if status.get("expiresAt"):
        yield from _labelled("Ends", str(status["expiresAt"]), width)
    if document.get("requestedBy"):
        yield from _labelled("Asked by", str(document["requestedBy"]), width)


def _models(document: Json, width: int | None) -> Iterator[Line]:
    status = document.get("status") or {}
    entries = [*models_of(document), *(status.get("patterns") or ())]
    if not entries:
        return
    rows = [
        (
            Span(plain(str(entry["name"]))),
            model_state(entry),
            Span(_amount(entry)),
            Span(plain(str(entry.get("message") or "")), Style.FAINT),
        )
        for entry in entries
    ]
    columns = (Column("MODEL", min_width=16), Column("STATE"), Column("SIZE", 1), Column("", 2, 20))
    yield BLANK
    yield from table(columns, rows, width)


def _amount(entry: Json) -> str:
    total, completed = entry.get("totalBytes") or 0, entry.get("completedBytes") or 0
    if entry.get("state") == "Pulling" and total:
        return f"{units.size(completed)} of {units.size(total)}"
    return units.size(total) if total else ""


def _history(history: Sequence[Json], now: datetime, width: int | None) -> Iterator[Line]:
    """Yield who changed it last, and what."""
    if history:
        yield BLANK
        yield line("Last changes", Style.TITLE)
        yield from history_table(history[:_CHANGES], now, width, wide=False)


def _events(events: Sequence[Json], now: datetime, width: int | None) -> Iterator[Line]:
    if events:
        yield BLANK
        yield from event_table(events[:_EVENTS], now, width)


def event_table(events: Sequence[Json], now: datetime, width: int | None) -> list[Line]:
    """Return events as a table, in their order."""
    columns = (
        Column("AGE"),
        Column("TYPE", rank=2),
        Column("REASON", min_width=10),
        Column("OBJECT", rank=1, min_width=16),
        Column("MESSAGE", min_width=20),
    )
    rows = [
        (
            Span(units.age(units.seconds_since(str(event["time"]), now))),
            _event_type(str(event["type"])),
            Span(plain(str(event["reason"]))),
            Span(plain(str(event["object"]))),
            Span(_message(event)),
        )
        for event in events
    ]
    return table(columns, rows, width) if rows else [line("no events")]


def _event_type(kind: str) -> Span:
    return Span(f"! {kind}", Style.BAD) if kind == "Warning" else Span(plain(kind))


def _message(event: Json) -> str:
    times = f" ({event['count']} times)" if event.get("count", 1) > 1 else ""
    return plain(str(event["message"]).replace("\n", " ")) + times


def _labelled(label: str, text: str, width: int | None) -> list[Line]:
    first = (Span(f"  {label:<{_LABEL - 2}}", Style.FAINT),)
    return paragraph(plain(text), width, first=first, indent=_LABEL)
