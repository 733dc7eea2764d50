"""Pure functions that update a workspace's model report during a sync."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from aichat_workspace.domain.models.capacity import PresentModel, memory_problem
from aichat_workspace.domain.models.name import model_key, parse_model
from aichat_workspace.domain.models.status import (
    DesiredModels,
    ModelState,
    ModelStatus,
    Pattern,
    PatternStatus,
)
from aichat_workspace.domain.models.sync_plan import ManagedModels, expected, revision_of
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.ollama.errors import (
    OllamaError,
    VolumeFullError,
)
from aichat_workspace.operator.models.downloads import DownloadProgress
from aichat_workspace.operator.models.problems import VOLUME_FULL, failure_message, hosted, stalled

# Ended before anything came, so there is nothing of the operator's to remove.
_NOTHING_CAME: Final = (
    Reason.MODEL_HOSTED,
    Reason.MODEL_NOT_FOUND,
    Reason.MODEL_PRIVATE,
    Reason.MODEL_REFUSED,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a workspace's models; before the first check, what the status recorded."""

    models: tuple[ModelStatus, ...]
    patterns: tuple[PatternStatus, ...]
    refreshed: str = ""
    """The request for a refresh that was last met."""

    @property
    def managed(self) -> ManagedModels:
        """What the operator has downloaded and created, and so may remove."""
        return ManagedModels(
            models=frozenset(model_key(model.name) for model in self.models if model.managed),
            patterns=frozenset(
                (pattern.name, pattern.revision) for pattern in self.patterns if pattern.revision
            ),
        )

    @property
    def percents(self) -> tuple[int, ...]:
        """How much of each model is downloaded."""
        return tuple(model.percent for model in self.models)

    def is_alike(self, model: ModelStatus) -> bool:
        """Whether a model is in this state and says this, however far it is."""
        return any(
            model_key(known.name) == model_key(model.name)
            and (known.state, known.message) == (model.state, model.message)
            for known in self.models
        )

    def has_failed(self, name: str) -> bool:
        """Whether a model could not be downloaded."""
        return any(
            model_key(model.name) == model_key(name) and model.state is ModelState.FAILED
            for model in self.models
        )

    def with_model(self, model: ModelStatus) -> "Report":
        """Return the report with one model's status replaced."""
        key = model_key(model.name)
        models = tuple(model if model_key(known.name) == key else known for known in self.models)
        return replace(self, models=models)

    def with_notes(self, notes: Mapping[str, str]) -> "Report":
        """Return the report with what is to be said of ready models, by their keys."""
        models = tuple(
            replace(model, message=notes.get(model_key(model.name), ""))
            if model.state is ModelState.READY
            else model
            for model in self.models
        )
        return replace(self, models=models)

    def with_pattern(self, pattern: PatternStatus) -> "Report":
        """Return the report with one pattern's status replaced."""
        patterns = tuple(
            pattern if known.name == pattern.name else known for known in self.patterns
        )
        return replace(self, patterns=patterns)


def before_check(desired: DesiredModels, known: Report, *, served: bool) -> Report:
    """Return what earlier checks say of the desired models."""
    models = expected(desired, known.models)
    if not served:  # so nothing is downloaded
        models = tuple(
            _pending(model) if model.state is ModelState.PULLING else model for model in models
        )
    base = _base(desired, models)
    patterns = tuple(_unless_changed(pattern, base, known) for pattern in desired.patterns)
    return Report(models, _all_patterns(patterns, desired, known.patterns), known.refreshed)


def checked(
    desired: DesiredModels, known: Report, present: Iterable[PresentModel], memory_bytes: int = 0
) -> Report:
    """Return what the server's own list says: which models are ready, and which are gone.

    A model with another digest than the desired one, or without room in the server's memory, is not
    ready; 0 is for unknown.
    """
    by_key = {model.key: model for model in present}
    models = tuple(
        _settled(model, by_key.get(model_key(model.name)), desired, memory_bytes)
        for model in expected(desired, known.models)
        if model.state is not ModelState.REMOVING or model_key(model.name) in by_key
    )
    base = by_key.get(model_key(desired.models[0])) if desired.models else None
    if base and _flaw(base, desired, memory_bytes):
        base = None
    patterns = tuple(_checked(pattern, base, known, by_key) for pattern in desired.patterns)
    remaining = (pattern for pattern in known.patterns if Pattern(pattern.name, "").model in by_key)
    return Report(models, _all_patterns(patterns, desired, remaining), known.refreshed)


def unanswered(known: Report, error: OllamaError) -> Report:
    """Return the report of a server that does not answer: no model is known to be lost, what has
    failed is not tried before something changes, and the others wait."""
    message = (
        f"the model server does not answer yet: {error}; it is asked again by itself; if this "
        "lasts, read its log"
    )
    return replace(
        known,
        models=tuple(
            model
            if model.state in (ModelState.READY, ModelState.FAILED)
            else replace(model, state=ModelState.PENDING, message=message)
            for model in known.models
        ),
    )


def pulling(model: str, download: DownloadProgress) -> ModelStatus:
    """Return the status of a model that is being downloaded."""
    progress = download.progress
    return ModelStatus(
        model,
        ModelState.PULLING,
        completed_bytes=max(progress.completed_bytes, 0),
        total_bytes=max(progress.total_bytes, progress.completed_bytes, 0),
        managed=True,
        message=stalled(model) if download.is_waiting else "",
        bytes_per_second=download.bytes_per_second,
    )


def pull_failed(model: str, problem: Problem) -> ModelStatus:
    """Return the status of a model that can't be had."""
    return ModelStatus(
        model,
        ModelState.FAILED,
        managed=problem.reason not in _NOTHING_CAME,
        reason=problem.reason,
        message=problem.message,
    )


def pull_paused(model: str, error: OllamaError) -> ModelStatus:
    """Return the status of a model whose download goes on by itself."""
    return ModelStatus(
        model, ModelState.PENDING, managed=True, message=failure_message(model, error)
    )


def create_failed(pattern: Pattern, base: str, error: OllamaError, known: Report) -> PatternStatus:
    """Return the status of a pattern that can't be created. An earlier model of it is still the
    operator's."""
    if isinstance(error, VolumeFullError):
        message = f"pattern {pattern.name} can't be made: {VOLUME_FULL}"
    else:
        message = (
            f"pattern {pattern.name} can't be made of {base}: {error}; it is tried again by "
            "itself; if this lasts, put another model first in spec.models, or take the pattern "
            "out of spec.patterns"
        )
    return replace(_recorded(pattern, known), state=ModelState.FAILED, message=message)


def _all_patterns(
    listed: tuple[PatternStatus, ...], desired: DesiredModels, known: Iterable[PatternStatus]
) -> tuple[PatternStatus, ...]:
    """The desired patterns, the refused ones with their reason, and the operator's own that still
    have to go. A refused pattern of the operator's is left as it is, and stays its own."""
    known = tuple(known)
    revisions = {pattern.name: pattern.revision for pattern in known}
    refused = (
        replace(pattern, revision=revisions.get(pattern.name, "")) for pattern in desired.refused
    )
    reported = {pattern.name for pattern in (*listed, *desired.refused)}
    leaving = (
        replace(pattern, state=ModelState.REMOVING, message="")
        for pattern in known
        if pattern.name not in reported and pattern.revision
    )
    return (*listed, *refused, *leaving)


def _recorded(pattern: Pattern, known: Report) -> PatternStatus:
    new = PatternStatus(pattern.name, ModelState.PENDING)
    return next((status for status in known.patterns if status.name == pattern.name), new)


def _checked(
    pattern: Pattern, base: PresentModel | None, known: Report, present: Container[str]
) -> PatternStatus:
    """A pattern that could not be created keeps its message until it is, or can't be tried."""
    status = _recorded(pattern, known)
    if base and pattern.model in present and status.revision == revision_of(pattern, base):
        return replace(status, state=ModelState.READY, message="")
    if base and status.state is ModelState.FAILED:
        return status
    return replace(status, state=ModelState.PENDING, message="")


def _base(desired: DesiredModels, models: Iterable[ModelStatus]) -> PresentModel | None:
    """The model that patterns are created from, as far as it is known to be present."""
    for model in models:
        is_base = model_key(model.name) in map(model_key, desired.models[:1])
        if is_base and model.state is ModelState.READY and model.digest:
            return PresentModel(model.name, model.digest, model.total_bytes)
    return None


def _unless_changed(pattern: Pattern, base: PresentModel | None, known: Report) -> PatternStatus:
    """A pattern whose text or base has changed is to be created again."""
    status = _recorded(pattern, known)
    is_ready = status.state is ModelState.READY
    if is_ready and base and status.revision != revision_of(pattern, base):
        return replace(status, state=ModelState.PENDING)
    return status


def _settled(
    model: ModelStatus, present: PresentModel | None, desired: DesiredModels, memory_bytes: int
) -> ModelStatus:
    if model.state is ModelState.REMOVING:
        return model
    if present is not None:
        problem = _flaw(present, desired, memory_bytes)
        return ModelStatus(
            present.name,
            ModelState.FAILED if problem else ModelState.READY,
            present.size_bytes,
            present.size_bytes,
            present.digest,
            model.managed,
            reason=problem.reason if problem else None,
            message=problem.message if problem else "",
        )
    if model.state is ModelState.READY:
        return _pending(model)
    return model


def _flaw(present: PresentModel, desired: DesiredModels, memory_bytes: int) -> Problem | None:
    """Return why a present model is not the desired one, or would answer no prompt."""
    if parse_model(present.name).is_hosted:
        return hosted(present.name)
    if differs(present, desired):
        return Problem(
            Reason.MODEL_DIGEST_DIFFERS,
            f"{present.name} has the digest sha256:{present.digest.removeprefix('sha256:')} at its "
            "registry and not the one in spec.models: its tag has moved; write that digest once "
            "you trust it, or leave the digest out",
        )
    message = memory_problem(present.name, present.size_bytes, memory_bytes)
    return Problem(Reason.MODEL_NEEDS_MEMORY, message) if message else None


def differs(present: PresentModel, desired: DesiredModels) -> bool:
    """Whether a present model has another digest than the spec asks for."""
    return desired.pin(present.key) not in ("", present.digest.removeprefix("sha256:"))


def _pending(model: ModelStatus) -> ModelStatus:
    return ModelStatus(model.name, ModelState.PENDING, managed=model.managed)
