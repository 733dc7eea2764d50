"""What a workspace asks for in models and patterns, and how far each one is."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aichat_workspace.domain.models.name import DEFAULT_TAG, parse_model


class ModelState(StrEnum):
    PENDING = "Pending"
    PULLING = "Pulling"
    READY = "Ready"
    FAILED = "Failed"
    REMOVING = "Removing"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """How far a model is. `managed`: the operator downloaded it, so the operator may remove it."""

    name: str
    state: ModelState
    completed_bytes: int = 0
    total_bytes: int = 0
    digest: str = ""
    managed: bool = False
    message: str = ""
    bytes_per_second: int = 0

    @property
    def eta_seconds(self) -> int | None:
        """When it will be there if the speed stays, or None while there is none."""
        if self.state is not ModelState.PULLING or self.bytes_per_second <= 0:
            return None
        return max(self.total_bytes - self.completed_bytes, 0) // self.bytes_per_second

    @property
    def percent(self) -> int:
        """0 to 100, whatever the model server says about sizes."""
        if self.state is ModelState.READY:
            return 100
        if self.total_bytes <= 0:
            return 0
        return max(0, min(99, self.completed_bytes * 100 // self.total_bytes))


@dataclass(frozen=True, slots=True)
class PatternStatus:
    """How far a pattern's model is. `revision` says what it was made from."""

    name: str
    state: ModelState
    revision: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    name: str
    system: str

    @property
    def model(self) -> str:
        """The name of the pattern's model as Ollama lists it."""
        return f"{self.name}:{DEFAULT_TAG}"


@dataclass(frozen=True, slots=True)
class DesiredModels:
    """What a workspace asks for; `refused` holds patterns that can't be, and why."""

    models: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    refused: tuple[PatternStatus, ...] = ()


def desired_models(
    models: Sequence[str],
    patterns: Sequence[str],
    prompts: Mapping[str, str],
    embedding: str | None = None,
) -> DesiredModels:
    """What a spec asks for, each model once and by its listed name, the embedding model last.
    `prompts` are the patterns there are, by name."""
    listed = tuple(dict.fromkeys(str(parse_model(text)) for text in models))
    accepted: list[Pattern] = []
    refused: list[PatternStatus] = []
    for name in patterns:
        problem = _pattern_problem(name, listed, prompts, embedding)
        if problem:
            refused.append(PatternStatus(name, ModelState.FAILED, message=problem))
        else:
            accepted.append(Pattern(name, prompts[name]))
    every = dict.fromkeys((*listed, *((embedding,) if embedding else ())))
    return DesiredModels(tuple(every), tuple(accepted), tuple(refused))


def _pattern_problem(
    name: str, models: Sequence[str], prompts: Mapping[str, str], embedding: str | None
) -> str | None:
    if name not in prompts:
        close = difflib.get_close_matches(name, prompts, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        known = ", ".join(sorted(prompts))
        return f"there is no pattern {name!r}; {hint}spec.patterns takes: {known}"
    if Pattern(name, "").model in models:
        return f"pattern {name!r} has the name of a model in spec.models; remove one of the two"
    if Pattern(name, "").model == embedding:
        return (
            f"pattern {name!r} has the name of the embedding model; take it out of spec.patterns, "
            "or choose another spec.embeddingModel"
        )
    if not models:
        return f"pattern {name!r} needs a model to build on: add one to spec.models"
    return None


def models_ready(models: Iterable[ModelStatus]) -> tuple[int, int]:
    """How many of the wanted models are ready, and how many are wanted."""
    listed = [model for model in models if model.state is not ModelState.REMOVING]
    return sum(model.state is ModelState.READY for model in listed), len(listed)


def format_progress(models: Iterable[ModelStatus]) -> str:
    """As in `2/3`, or while something is downloaded `2/3 40%`: how much of that is there."""
    models = tuple(models)
    ready, total = models_ready(models)
    coming = [model for model in models if model.state is ModelState.PULLING and model.total_bytes]
    if not coming:
        return f"{ready}/{total}"
    there = sum(model.completed_bytes for model in coming)
    percent = max(0, min(99, there * 100 // sum(model.total_bytes for model in coming)))
    return f"{ready}/{total} {percent}%"


def summary(models: Iterable[ModelStatus], patterns: Iterable[PatternStatus]) -> str:
    """One sentence: what is wrong first, else what is going on, else that all is there."""
    models = tuple(models)
    every: tuple[ModelStatus | PatternStatus, ...] = (*models, *patterns)
    told = [each.message for each in every if each.message]
    if told:
        return "; ".join(told)
    busy = [_pace(model) for model in models if model.state is ModelState.PULLING]
    if busy:
        return f"downloading {', '.join(busy)}"
    waiting = [each.name for each in every if each.state is not ModelState.READY]
    return f"waiting for {', '.join(waiting)}" if waiting else "every model and pattern is there"


def _pace(model: ModelStatus) -> str:
    """As in `gemma2:2b 40% at 12.5 MB/s, 2 min left`."""
    told = f"{model.name} {model.percent}%"
    if model.bytes_per_second:
        told += f" at {model.bytes_per_second / 1e6:.1f} MB/s"
    if (seconds := model.eta_seconds) is not None:
        told += f", {seconds // 60} min left" if seconds >= 90 else f", {seconds} s left"
    return told
