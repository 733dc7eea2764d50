"""How a workspace comes up: each step with its seconds, each model with its bytes."""

from collections.abc import Callable, Iterator, Mapping
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
_BAR: Final = 24
_LABEL: Final = 28
_DONE: Final = Span("✓", Style.GOOD)
_WORKING: Final = Span("◐", Style.WORKING)
_WAITING: Final = Span("·", Style.FAINT)
_FAILED: Final = Span("▲", Style.BAD)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of what is followed."""

    label: str
    is_done: Callable[[Json], bool]
    remark: Callable[[Json], str]
    """What it is at, in one word; empty before it has begun."""


@dataclass(frozen=True, slots=True)
class Course:
    """What is followed: its steps, and what is in their way."""

    steps: tuple[Step, ...]
    problem: Callable[[Json], str]
    """What a person has to mend; empty while time is enough."""
    has_models: bool = True
    """Whether downloads are part of it."""


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


def condition_step(kind: str) -> Step:
    """Return the step that a condition tells."""
    return Step(
        states.STEPS[kind],
        lambda document: is_true(document, kind),
        lambda document: _begun(condition(document, kind)),
    )


def _begun(entry: Mapping[str, Any]) -> str:
    return str(entry.get("reason") or "begun") if entry else ""


COMING_UP: Final = Course(
    tuple(
        condition_step(kind) for kind in ("Provisioned", "OllamaAvailable", "OpenWebUIAvailable")
    ),
    problem_of,
)


@dataclass(frozen=True, slots=True)
class BringUp:
    """A workspace as it was last seen, and when each step was done."""

    document: Json
    began: float
    """When it was first looked at, in seconds of any clock."""
    done_at: Mapping[str, float] = field(default_factory=dict)
    """When each step or model was first seen done, by its name."""
    course: Course = COMING_UP

    def observe(self, document: Json, now: float) -> "BringUp":
        """Return it with a newer state."""
        done = {name for name, is_done in _progress(self.course, document) if is_done}
        times = {name: self.done_at.get(name, now) for name in done}
        return replace(self, document=document, done_at=times)


def begin(document: Json, now: float, course: Course = COMING_UP) -> BringUp:
    """Return the first state; what is done already has taken no time."""
    return BringUp(document, now, course=course).observe(document, now)


def _progress(course: Course, document: Json) -> Iterator[tuple[str, bool]]:
    """Yield every step and model, and whether it is done."""
    for step in course.steps:
        yield step.label, step.is_done(document)
    for model in _models(course, document):
        yield str(model["name"]), model.get("state") == "Ready"


def _models(course: Course, document: Json) -> list[Json]:
    return models_of(document) if course.has_models else []


def live_lines(bring_up: BringUp, now: float, width: int) -> list[Line]:
    """Return the live view at a moment."""
    document = bring_up.document
    lines = [fit(spans, width) for spans in _step_lines(bring_up, now)]
    lines += [
        fit(_model_line(bring_up, model, width), width)
        for model in _models(bring_up.course, document)
    ]
    problem = bring_up.course.problem(document)
    if problem:
        lines += paragraph(plain(problem), width, first=(Span("  "), _FAILED, Span(" ")), indent=4)
    return lines


def _step_lines(bring_up: BringUp, now: float) -> Iterator[Line]:
    for step in bring_up.course.steps:
        done_at = bring_up.done_at.get(step.label)
        seconds = (now if done_at is None else done_at) - bring_up.began
        sign, remark = _DONE, ""
        if done_at is None:
            remark = plain(step.remark(bring_up.document))
            sign = _WORKING if remark else _WAITING
        yield (
            Span("  "),
            sign,
            Span(f" {step.label:<{_LABEL}} {seconds:6.1f} s"),
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
    for model in _models(bring_up.course, bring_up.document):
        tenth = _tenths(bring_up.document).get(str(model["name"]))
        if tenth is not None and tenth != tenths.get(str(model["name"])):
            yield (
                f"{now - bring_up.began:7.1f} s  {plain(words.progress_of(model))}"
                f"{_transfer(model)}"
            )
    problem = bring_up.course.problem(bring_up.document)
    if problem and (earlier is None or problem != bring_up.course.problem(earlier.document)):
        yield f"{now - bring_up.began:7.1f} s  needs you: {plain(problem)}"


def _tenths(document: Json) -> dict[str, int]:
    """Return how many tenths of each model that is being pulled are there."""
    return {
        str(model["name"]): int(model.get("percent") or 0) // 10
        for model in models_of(document)
        if model.get("state") == "Pulling" and model.get("totalBytes")
    }


def missing(bring_up: BringUp) -> str:
    """Return what is waited for, in one line."""
    document, course = bring_up.document, bring_up.course
    message = condition(document, "Ready").get("message") if course is COMING_UP else ""
    waiting = [name for name, is_done in _progress(course, document) if not is_done]
    return plain(str(message or ", ".join(waiting) or phase_of(document)))
