"""What is told of a workspace's models while a server is brought to what is wanted. Pure: each
function gives the report as it is after something was learned."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from typing import Final

from aichat_workspace.domain.models.capacity import PresentModel
from aichat_workspace.domain.models.status import (
    DesiredModels,
    ModelState,
    ModelStatus,
    Pattern,
    PatternStatus,
)
from aichat_workspace.domain.models.sync_plan import ManagedModels, expected, revision_of
from aichat_workspace.ollama.errors import (
    ModelNotFoundError,
    OllamaError,
    OllamaUnreachableError,
    VolumeFullError,
)
from aichat_workspace.operator.models.downloads import STALL_SECONDS, DownloadProgress

_FULL: Final = "the models' volume is full; raise spec.storage.ollama.size, or remove a model"


class ModelTooLargeError(OllamaError):
    """The volume has no room for the model. A larger one helps, a retry does not."""


class SlotExpiredError(OllamaError):
    """Another workspace has the place of the download now. It goes on when its turn comes."""


class InsufficientSpaceError(OllamaError):
    """There is room once models that nobody wants any more are removed. A retry helps."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a workspace's models, or what was recorded before the first check."""

    models: tuple[ModelStatus, ...]
    patterns: tuple[PatternStatus, ...]

    @property
    def recorded(self) -> ManagedModels:
        """What the operator has downloaded and made, and so may remove."""
        return ManagedModels(
            models=frozenset(each.name for each in self.models if each.managed),
            patterns=frozenset(
                (each.name, each.revision) for each in self.patterns if each.revision
            ),
        )

    @property
    def leaving(self) -> frozenset[str]:
        """The models that are wanted by nobody, as the server names them."""
        models = {each.name for each in self.models if each.state is ModelState.REMOVING}
        patterns = {
            Pattern(each.name, "").model
            for each in self.patterns
            if each.state is ModelState.REMOVING
        }
        return frozenset(models | patterns)

    def failed(self, model: str) -> bool:
        return any(each.name == model and each.state is ModelState.FAILED for each in self.models)

    def with_model(self, model: ModelStatus) -> "Report":
        return replace(
            self,
            models=tuple(model if each.name == model.name else each for each in self.models),
        )

    def with_pattern(self, pattern: PatternStatus) -> "Report":
        return replace(
            self,
            patterns=tuple(
                pattern if each.name == pattern.name else each for each in self.patterns
            ),
        )


def before_check(wanted: DesiredModels, known: Report, *, served: bool) -> Report:
    """What earlier checks say of what is wanted now."""
    models = expected(wanted, known.models)
    if not served:  # so nothing is downloaded
        models = tuple(
            _pending(each) if each.state is ModelState.PULLING else each for each in models
        )
    base = _base(wanted, models)
    patterns = tuple(_unless_changed(each, base, known) for each in wanted.patterns)
    return Report(models, _every(patterns, wanted, known.patterns))


def checked(wanted: DesiredModels, known: Report, present: Iterable[PresentModel]) -> Report:
    """The server's own list settles what is ready and what is gone."""
    there = {each.name: each for each in present}
    models = tuple(
        _settled(each, there.get(each.name))
        for each in expected(wanted, known.models)
        if each.state is not ModelState.REMOVING or each.name in there
    )
    base = there.get(wanted.models[0]) if wanted.models else None
    patterns = tuple(_found(pattern, base, known, there) for pattern in wanted.patterns)
    still = (each for each in known.patterns if Pattern(each.name, "").model in there)
    return Report(models, _every(patterns, wanted, still))


def unanswered(known: Report, error: OllamaError) -> Report:
    """Nothing is known to be lost, and what is missing waits."""
    message = (
        f"the model server does not answer yet: {error}; it is asked again by itself; if this "
        "lasts, read its log"
    )
    return replace(
        known,
        models=tuple(
            each
            if each.state is ModelState.READY
            else replace(each, state=ModelState.PENDING, message=message)
            for each in known.models
        ),
    )


def pulling(model: str, pace: DownloadProgress) -> ModelStatus:
    progress = pace.progress
    return ModelStatus(
        model,
        ModelState.PULLING,
        completed_bytes=max(progress.completed_bytes, 0),
        total_bytes=max(progress.total_bytes, progress.completed_bytes, 0),
        managed=True,
        message=_stalled(model) if pace.waiting else "",
        bytes_per_second=pace.bytes_per_second,
    )


def _stalled(model: str) -> str:
    return (
        f"download of {model} waits for data from the registry; after "
        f"{STALL_SECONDS:.0f} s without any it is begun again by itself"
    )


def pull_failed(model: str, error: OllamaError) -> ModelStatus:
    """Pending where it goes on by itself."""
    if isinstance(error, ModelNotFoundError):
        message = (
            f"the registry has no model {model!r}; correct its name in spec.models or "
            "spec.embeddingModel"
        )
        return ModelStatus(model, ModelState.FAILED, message=message)
    passes = isinstance(error, InsufficientSpaceError | SlotExpiredError | OllamaUnreachableError)
    return ModelStatus(
        model,
        ModelState.PENDING if passes else ModelState.FAILED,
        managed=True,
        message=_told(model, error),
    )


def _told(model: str, error: OllamaError) -> str:
    """What a download ended with, and what is to be done."""
    if isinstance(error, ModelTooLargeError | InsufficientSpaceError):
        return str(error)
    if isinstance(error, SlotExpiredError):
        return f"download of {model} lets another workspace's go first; it resumes by itself"
    if isinstance(error, OllamaUnreachableError):
        return f"download of {model} was interrupted ({error}); it resumes by itself"
    if isinstance(error, VolumeFullError):
        return f"{model} can't be stored: {_FULL}"
    return (
        f"download of {model} failed: {error}; it is tried again by itself; if this lasts, see "
        "that its registry is up and lets the model server in, or remove it from spec.models"
    )


def create_failed(pattern: Pattern, base: str, error: OllamaError, known: Report) -> PatternStatus:
    """One that was made before is still the operator's."""
    if isinstance(error, VolumeFullError):
        message = f"pattern {pattern.name} can't be made: {_FULL}"
    else:
        message = (
            f"pattern {pattern.name} can't be made of {base}: {error}; it is tried again by "
            "itself; if this lasts, put another model first in spec.models, or take the pattern "
            "out of spec.patterns"
        )
    return replace(_recorded(pattern, known), state=ModelState.FAILED, message=message)


def _every(
    listed: tuple[PatternStatus, ...], wanted: DesiredModels, known: Iterable[PatternStatus]
) -> tuple[PatternStatus, ...]:
    """The wanted patterns, the refused ones with their reason, and ours that still have to go.
    A refused one of ours is left as it is, and still known to be ours."""
    known = tuple(known)
    ours = {each.name: each.revision for each in known}
    refused = (replace(each, revision=ours.get(each.name, "")) for each in wanted.refused)
    spoken = {each.name for each in (*listed, *wanted.refused)}
    leaving = (
        replace(each, state=ModelState.REMOVING, message="")
        for each in known
        if each.name not in spoken and each.revision
    )
    return (*listed, *refused, *leaving)


def _recorded(pattern: Pattern, known: Report) -> PatternStatus:
    fresh = PatternStatus(pattern.name, ModelState.PENDING)
    return next((each for each in known.patterns if each.name == pattern.name), fresh)


def _found(
    pattern: Pattern, base: PresentModel | None, known: Report, there: Container[str]
) -> PatternStatus:
    """A pattern that could not be made is told so until it is made, or can't even be tried."""
    found = _recorded(pattern, known)
    if base and pattern.model in there and found.revision == revision_of(pattern, base):
        return replace(found, state=ModelState.READY, message="")
    if base and found.state is ModelState.FAILED:
        return found
    return replace(found, state=ModelState.PENDING, message="")


def _base(wanted: DesiredModels, models: Iterable[ModelStatus]) -> PresentModel | None:
    """The model that patterns are made of, as far as it is known to be there."""
    for each in models:
        if each.name in wanted.models[:1] and each.state is ModelState.READY and each.digest:
            return PresentModel(each.name, each.digest, each.total_bytes)
    return None


def _unless_changed(pattern: Pattern, base: PresentModel | None, known: Report) -> PatternStatus:
    """A pattern whose text or base is another one now is to be made again."""
    found = _recorded(pattern, known)
    made = found.state is ModelState.READY
    if made and base and found.revision != revision_of(pattern, base):
        return replace(found, state=ModelState.PENDING)
    return found


def _settled(model: ModelStatus, found: PresentModel | None) -> ModelStatus:
    if model.state is ModelState.REMOVING:
        return model
    if found is not None:
        return ModelStatus(
            model.name,
            ModelState.READY,
            found.size_bytes,
            found.size_bytes,
            found.digest,
            model.managed,
        )
    if model.state is ModelState.READY:
        return _pending(model)
    return model


def _pending(model: ModelStatus) -> ModelStatus:
    return ModelStatus(model.name, ModelState.PENDING, managed=model.managed)
