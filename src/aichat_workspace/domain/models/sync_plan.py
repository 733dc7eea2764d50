"""Plan the pulls, creations and removals that bring a model server to the desired models."""

import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from aichat_workspace.domain.models.capacity import PresentModel
from aichat_workspace.domain.models.name import model_key
from aichat_workspace.domain.models.status import (
    DesiredModels,
    ModelState,
    ModelStatus,
    Pattern,
    PatternStatus,
)


@dataclass(frozen=True, slots=True)
class ManagedModels:
    """What the operator remembers of its own downloads and patterns; only these it may remove."""

    models: frozenset[str] = frozenset()
    """Keys of the models that it downloaded."""
    patterns: frozenset[tuple[str, str]] = frozenset()
    """Names of the patterns that it made, each with its revision."""


@dataclass(frozen=True, slots=True)
class Pull:
    """Download a model."""

    name: str
    """In the spec's spelling."""


@dataclass(frozen=True, slots=True)
class Create:
    """Make a pattern's model from a base model and a system prompt."""

    pattern: Pattern
    base: str
    revision: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a model, or a pattern's model."""

    name: str
    """In the server's spelling."""


ModelAction = Pull | Create | Remove


def plan_sync(
    desired: DesiredModels,
    present: Iterable[PresentModel],
    managed: ManagedModels,
    *,
    low_space: bool = False,
) -> tuple[ModelAction, ...]:
    """Return what to do so that the model server has the desired models; nothing when it has.

    Only the operator's own models are removed: a model that a person made in Open WebUI stays, and
    so does the model of a refused pattern. With `low_space`, models are also removed before their
    replacements exist.
    """
    present_models = {model.key: model for model in present}
    removed = (removable if low_space else _undesired)(desired, present_models.values(), managed)
    return (
        *(Pull(name) for name in desired.models if model_key(name) not in present_models),
        *_creations(desired, present_models, dict(managed.patterns)),
        *(Remove(present_models[key].name) for key in sorted(removed)),
    )


def removable(
    desired: DesiredModels, present: Iterable[PresentModel], managed: ManagedModels
) -> frozenset[str]:
    """Return the keys of the present models that may be removed to make room.

    Besides the undesired ones these are models of patterns that wait for another base: they are of
    use until it is there, and keep the weights of the old one.
    """
    keys = {model.key for model in present}
    undesired = _undesired(desired, present, managed)
    if not desired.models or model_key(desired.models[0]) in keys:
        return undesired
    made_patterns = {name for name, _ in managed.patterns}
    outdated = {pattern.model for pattern in desired.patterns if pattern.name in made_patterns}
    return undesired | (outdated & keys)


def _undesired(
    desired: DesiredModels, present: Iterable[PresentModel], managed: ManagedModels
) -> frozenset[str]:
    patterns = {*desired.patterns, *(Pattern(refused.name, "") for refused in desired.refused)}
    keep = {*map(model_key, desired.models), *(pattern.model for pattern in patterns)}
    own = {*managed.models, *(Pattern(name, "").model for name, _ in managed.patterns)}
    return frozenset(model.key for model in present if model.key in own - keep)


def unmanaged_patterns(
    desired: DesiredModels, present: Container[str], managed: ManagedModels
) -> tuple[Pattern, ...]:
    """Return the patterns whose models are present although the operator has no record of them.

    `present` are keys of models.
    Either a person made them, or the operator did and its record went with a deleted resource.
    """
    made_patterns = {name for name, _ in managed.patterns}
    return tuple(
        pattern
        for pattern in desired.patterns
        if pattern.model in present and pattern.name not in made_patterns
    )


def drop_patterns(desired: DesiredModels, dropped: Iterable[Pattern]) -> DesiredModels:
    """Refuse the patterns whose model names are already taken by people's own models."""
    taken = frozenset(dropped)
    refused = tuple(
        PatternStatus(
            pattern.name,
            ModelState.FAILED,
            message=f"pattern {pattern.name!r} is not made, for there is a model {pattern.model} "
            "that the operator did not make; remove that model in Open WebUI, and the pattern is "
            "made within about ten minutes, or take the pattern out of spec.patterns",
        )
        for pattern in desired.patterns
        if pattern in taken
    )
    patterns = tuple(pattern for pattern in desired.patterns if pattern not in taken)
    return replace(desired, patterns=patterns, refused=(*desired.refused, *refused))


def _creations(
    desired: DesiredModels, present: Mapping[str, PresentModel], revisions: Mapping[str, str]
) -> Iterable[Create]:
    base = present.get(model_key(desired.models[0])) if desired.models else None
    if base is None:
        return
    for pattern in desired.patterns:
        revision = revision_of(pattern, base)
        if pattern.model not in present or revisions.get(pattern.name) != revision:
            yield Create(pattern, base.name, revision)


def revision_of(pattern: Pattern, base: PresentModel) -> str:
    """Return a digest of the prompt and the base model."""
    text = "\n".join((base.key, base.digest, pattern.system))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def expected(desired: DesiredModels, recorded: Iterable[ModelStatus]) -> tuple[ModelStatus, ...]:
    """Return the models to report before the first check of the server: as recorded, or pending."""
    by_key = {model_key(model.name): model for model in recorded}
    listed = tuple(
        by_key.pop(model_key(name), ModelStatus(name, ModelState.PENDING))
        for name in desired.models
    )
    leftover = tuple(
        replace(model, state=ModelState.REMOVING, reason=None, message="")
        for model in by_key.values()
        if model.managed
    )
    return (*listed, *leftover)
