"""The models and patterns that a workspace asks for, and their progress."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aichat_workspace.domain.models.name import DEFAULT_TAG, model_key, parse_model
from aichat_workspace.domain.reasons import Reason


class ModelState(StrEnum):
    """The state of a model, or of a pattern's model."""

    PENDING = "Pending"
    PULLING = "Pulling"
    READY = "Ready"
    FAILED = "Failed"
    REMOVING = "Removing"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model's state and the progress of its download."""

    name: str
    """As the model server spells it; before it lists the model, as the spec does."""
    state: ModelState
    completed_bytes: int = 0
    total_bytes: int = 0
    """0 while unknown."""
    digest: str = ""
    managed: bool = False
    """The operator downloaded it, so the operator may remove it."""
    message: str = ""
    """What is wrong and how to fix it, or empty."""
    bytes_per_second: int = 0
    reason: Reason | None = None
    """Why it has failed."""

    @property
    def eta_seconds(self) -> int | None:
        """Seconds until the download ends at the present speed; None while there is no speed."""
        if self.state is not ModelState.PULLING or self.bytes_per_second <= 0:
            return None
        return max(self.total_bytes - self.completed_bytes, 0) // self.bytes_per_second

    @property
    def percent(self) -> int:
        """The downloaded part, 0 to 100, even if the model server's sizes are wrong."""
        if self.state is ModelState.READY:
            return 100
        if self.total_bytes <= 0:
            return 0
        return max(0, min(99, self.completed_bytes * 100 // self.total_bytes))


@dataclass(frozen=True, slots=True)
class PatternStatus:
    """The state of a pattern's model."""

    name: str
    """The pattern's."""
    state: ModelState
    revision: str = ""
    """Changes with the prompt and the base model that it was made from."""
    message: str = ""
    """What is wrong and how to fix it, or empty."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A named system prompt, offered as a model of its own."""

    name: str
    system: str
    """The system prompt."""

    @property
    def model(self) -> str:
        """The name of the pattern's model, as Ollama lists it."""
        return f"{self.name}:{DEFAULT_TAG}"


@dataclass(frozen=True, slots=True)
class DesiredModels:
    """The models and patterns that a workspace asks for."""

    models: tuple[str, ...] = ()
    """By their listed names in the spec's spelling; patterns are made from the first one."""
    patterns: tuple[Pattern, ...] = ()
    refused: tuple[PatternStatus, ...] = ()
    """Patterns that can't be made, with the reasons."""
    pins: tuple[tuple[str, str], ...] = ()
    """The digests that models must have, by their keys."""

    def pin(self, key: str) -> str:
        """Return the digest that a model must have; empty for any."""
        return next((digest for pinned, digest in self.pins if pinned == key), "")


def desired_models(
    models: Sequence[str],
    patterns: Sequence[str],
    prompts: Mapping[str, str],
    embedding: str | None = None,
) -> DesiredModels:
    """Return what a spec asks for, each model once by its listed name, the embedding model last.

    `prompts` are the system prompts of all existing patterns, by name.
    """
    parsed = tuple(map(parse_model, models))
    listed = _unique(map(str, parsed))
    pins = {model_key(str(model)): model.digest for model in parsed if model.digest}
    accepted: list[Pattern] = []
    refused: list[PatternStatus] = []
    for name in patterns:
        problem = _pattern_problem(name, listed, prompts, embedding)
        if problem:
            refused.append(PatternStatus(name, ModelState.FAILED, message=problem))
        else:
            accepted.append(Pattern(name, prompts[name]))
    unique = _unique((*listed, *((embedding,) if embedding else ())))
    return DesiredModels(unique, tuple(accepted), tuple(refused), tuple(sorted(pins.items())))


def _unique(listed: Iterable[str]) -> tuple[str, ...]:
    by_key: dict[str, str] = {}
    for name in listed:
        by_key.setdefault(model_key(name), name)
    return tuple(by_key.values())


def _pattern_problem(
    name: str, models: Sequence[str], prompts: Mapping[str, str], embedding: str | None
) -> str | None:
    if name not in prompts:
        similar = difflib.get_close_matches(name, prompts, n=1)
        hint = f"did you mean {similar[0]!r}? " if similar else ""
        existing = ", ".join(sorted(prompts))
        return f"there is no pattern {name!r}; {hint}spec.patterns takes: {existing}"
    model = Pattern(name, "").model
    if model in map(model_key, models):
        return f"pattern {name!r} has the name of a model in spec.models; remove one of the two"
    if embedding and model == model_key(embedding):
        return (
            f"pattern {name!r} has the name of the embedding model; take it out of spec.patterns, "
            "or choose another spec.embeddingModel"
        )
    if not models:
        return f"pattern {name!r} needs a model to build on: add one to spec.models"
    return None


def models_ready(models: Iterable[ModelStatus]) -> tuple[int, int]:
    """Return how many of the desired models are ready, and how many are desired."""
    listed = [model for model in models if model.state is not ModelState.REMOVING]
    return sum(model.state is ModelState.READY for model in listed), len(listed)


def format_progress(models: Iterable[ModelStatus]) -> str:
    """Write as in `2/3`, or `2/3 40%` while models are downloaded: the downloaded part of them."""
    models = tuple(models)
    ready, total = models_ready(models)
    pulling = [model for model in models if model.state is ModelState.PULLING and model.total_bytes]
    if not pulling:
        return f"{ready}/{total}"
    completed_bytes = sum(model.completed_bytes for model in pulling)
    total_bytes = sum(model.total_bytes for model in pulling)
    percent = max(0, min(99, completed_bytes * 100 // total_bytes))
    return f"{ready}/{total} {percent}%"


def summary(models: Iterable[ModelStatus], patterns: Iterable[PatternStatus]) -> str:
    """Write one sentence: the problems if there are any, else the progress."""
    models = tuple(models)
    statuses: tuple[ModelStatus | PatternStatus, ...] = (*models, *patterns)
    problems = [status.message for status in statuses if status.message]
    if problems:
        return "; ".join(problems)
    downloads = [_format_download(model) for model in models if model.state is ModelState.PULLING]
    if downloads:
        return f"downloading {', '.join(downloads)}"
    waiting = [status.name for status in statuses if status.state is not ModelState.READY]
    return f"waiting for {', '.join(waiting)}" if waiting else "every model and pattern is there"


def _format_download(model: ModelStatus) -> str:
    """Write as in `gemma2:2b 40% at 12.5 MB/s, 2 min left`."""
    text = f"{model.name} {model.percent}%"
    if model.bytes_per_second:
        text += f" at {model.bytes_per_second / 1e6:.1f} MB/s"
    if (seconds := model.eta_seconds) is not None:
        text += f", {seconds // 60} min left" if seconds >= 90 else f", {seconds} s left"
    return text
