"""How a workspace comes up: each step with its seconds, each model with its bytes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aichat_workspace.cli.render import words
from aichat_workspace.cli.render.lines import (
    Line,
    Span,
    Style,
    cell_width,
    fit,
    paragraph,
    plain,
    shorten,
)
from aichat_workspace.cli.render.workspaces import condition, models_of, phase_of
from aichat_workspace.foundation import states, units

Json = dict[str, Any]
_STEPS: Final = tuple(
    (kind, states.STEPS[kind]) for kind in ("Provisioned", "OllamaAvailable", "OpenWebUIAvailable")
)
_BAR: Final = 24
_LABEL: Final = 28
_DONE: Final = Span("✓", Style.GOOD)
_WORKING: Final = Span("◐", Style.WORKING)
_WAITING: Final = Span("·", Style.FAINT)
_FAILED: Final = Span("▲", Style.BAD)


@dataclass(frozen=True, slots=True)
class BringUp:
    """A workspace as it was last seen, and when each step was done."""

    document: Json
    began: float
    """When it was first looked at, in seconds of any clock."""
    done_at: Mapping[str, float] = field(default_factory=dict)
    """When each step or model was first seen done, by its name."""

    def observe(self, document: Json, now: float) -> "BringUp":
        """Return it with a newer state."""
        done = {name for name, is_done in _progress(document) if is_done}
        times = {name: self.done_at.get(name, now) for name in done}
        return replace(self, document=document, done_at=times)


def begin(document: Json, now: float) -> BringUp:
    """Return the first state; what is done already has taken no time."""
    return BringUp(document, now).observe(document, now)


def _progress(document: Json) -> Iterator[tuple[str, bool]]:
    """Yield every step and model, and whether it is done."""
    for kind, label in _STEPS:
        yield label, is_true(document, kind)
    for model in models_of(document):
        yield str(model["name"]), model.get("state") == "Ready"


def is_true(document: Json, kind: str) -> bool:
    """Whether a condition holds for the present spec."""
    entry = condition(document, kind)
    is_current = entry.get("observedGeneration", 0) >= document.get("generation", 0)
    return entry.get("status") == "True" and is_current


def is_observed(document: Json) -> bool:
    """Whether the status is about the present spec."""
    status = document.get("status") or {}
    return bool(status.get("observedGeneration", 0) >= document.get("generation", 0))


def is_ready(document: Json) -> bool:
    """Whether people can chat, with the present spec."""
    return is_observed(document) and phase_of(document) == "Ready"


def problem_of(document: Json) -> str:
    """Return what a person has to mend; empty while time is enough."""
    stalled = condition(document, "Stalled")
    if not is_observed(document) or stalled.get("status") != "True":
        return ""
    return str(stalled.get("message") or stalled.get("reason") or "a person has to act")


def live_lines(bring_up: BringUp, now: float, width: int) -> list[Line]:
    """Return the live view at a moment."""
    document = bring_up.document
    lines = [fit(spans, width) for spans in _step_lines(bring_up, now)]
    lines += [fit(_model_line(bring_up, model, width), width) for model in models_of(document)]
    problem = problem_of(document)
    if problem:
        lines += paragraph(plain(problem), width, first=(Span("  "), _FAILED, Span(" ")), indent=4)
    return lines


def _step_lines(bring_up: BringUp, now: float) -> Iterator[Line]:
    for kind, label in _STEPS:
        done_at = bring_up.done_at.get(label)
        seconds = (now if done_at is None else done_at) - bring_up.began
        entry = condition(bring_up.document, kind)
        sign, remark = _DONE, ""
        if done_at is None:
            sign = _WORKING if entry else _WAITING
            remark = plain(str(entry.get("reason") or ""))
        yield (
            Span("  "),
            sign,
            Span(f" {label:<{_LABEL}} {seconds:6.1f} s"),
            Span(f"   {remark}" if remark else "", Style.FAINT),
        )


def _model_line(bring_up: BringUp, model: Json, width: int) -> Line:
    name, model_state = plain(str(model["name"])), model.get("state")
    label = shorten(name, _LABEL)
    label += " " * (_LABEL - cell_width(label))
    done_at = bring_up.done_at.get(str(model["name"]))
    if done_at is not None:
        return (Span("  "), _DONE, Span(f" {label} {done_at - bring_up.began:6.1f} s"))
    if model_state == "Pulling" and model.get("totalBytes"):
        bar = _bar(int(model.get("percent") or 0), width)
        return (Span("  "), _WORKING, Span(f" {label} "), *bar, Span(_transfer(model)))
    if model_state == "Failed":
        word = states.model_state("Failed").word
        message = plain(str(model.get("message") or model.get("reason") or word))
        return (Span("  "), _FAILED, Span(f" {label} {message}"))
    return (
        Span("  "),
        _WAITING,
        Span(f" {label} {states.model_state('Pending').word}", Style.FAINT),
    )


def _bar(percent: int, width: int) -> Line:
    """Return a bar where there is room for it, and the per cent."""
    if width < 100:
        return (Span(f"{percent:3} %"),)
    full = _BAR * percent // 100
    return (
        Span("━" * full, Style.WORKING),
        Span("─" * (_BAR - full), Style.FAINT),
        Span(f" {percent:3} %"),
    )


def _transfer(model: Json) -> str:
    completed, total = int(model.get("completedBytes") or 0), int(model["totalBytes"])
    text = f"  {units.size(completed)} of {units.size(total)}"
    if model.get("bytesPerSecond"):
        text += f"  {units.speed(int(model['bytesPerSecond']))}"
    if model.get("etaSeconds") is not None:
        text += f"  {units.roughly(int(model['etaSeconds']))}"
    return text


def plain_lines(bring_up: BringUp, earlier: BringUp | None, now: float) -> Iterator[str]:
    """Yield what is new since an earlier state, a line each: for pipes and logs."""
    known = set() if earlier is None else set(earlier.done_at)
    for name, done_at in bring_up.done_at.items():
        if name not in known:
            yield f"{done_at - bring_up.began:7.1f} s  {plain(name)}: done"
    before = None if earlier is None else phase_of(earlier.document)
    phase = phase_of(bring_up.document)
    if phase != before:
        yield f"{now - bring_up.began:7.1f} s  {states.phase_state(phase).word}"
    tenths = {} if earlier is None else _tenths(earlier.document)
    for model in models_of(bring_up.document):
        tenth = _tenths(bring_up.document).get(str(model["name"]))
        if tenth is not None and tenth != tenths.get(str(model["name"])):
            yield (
                f"{now - bring_up.began:7.1f} s  {plain(words.progress_of(model))}"
                f"{_transfer(model)}"
            )
    problem = problem_of(bring_up.document)
    if problem and (earlier is None or problem != problem_of(earlier.document)):
        yield f"{now - bring_up.began:7.1f} s  needs you: {plain(problem)}"


def _tenths(document: Json) -> dict[str, int]:
    """Return how many tenths of each model that is being pulled are there."""
    return {
        str(model["name"]): int(model.get("percent") or 0) // 10
        for model in models_of(document)
        if model.get("state") == "Pulling" and model.get("totalBytes")
    }


def missing(document: Json) -> str:
    """Return what a workspace waits for, in one line."""
    message = condition(document, "Ready").get("message")
    waiting = [name for name, is_done in _progress(document) if not is_done]
    return plain(str(message or ", ".join(waiting) or phase_of(document)))
