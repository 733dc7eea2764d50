"""What to pull, make and remove so that a model server has what is desired."""

import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from aichat_workspace.domain.models.capacity import PresentModel
from aichat_workspace.domain.models.status import (
    DesiredModels,
    ModelState,
    ModelStatus,
    Pattern,
    PatternStatus,
)


@dataclass(frozen=True, slots=True)
class ManagedModels:
    """What the operator remembers to have downloaded, and to have made of which revision."""

    models: frozenset[str] = frozenset()
    patterns: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Pull:
    name: str


@dataclass(frozen=True, slots=True)
class Create:
    """Make a pattern's model from a base model and a system prompt."""

    pattern: Pattern
    base: str
    revision: str


@dataclass(frozen=True, slots=True)
class Remove:
    name: str


ModelAction = Pull | Create | Remove


def plan_sync(
    want: DesiredModels,
    present: Iterable[PresentModel],
    recorded: ManagedModels,
    *,
    cramped: bool = False,
) -> tuple[ModelAction, ...]:
    """What the model server lacks or no longer needs; nothing when all is well.

    Only what was recorded as the operator's own is removed: a model that a person made in Open
    WebUI stays, and so does that of a pattern that is refused. When it is `cramped`, what is to be
    made again anyway makes room first.
    """
    there = {model.name: model for model in present}
    made = dict(recorded.patterns)
    refused = (Pattern(each.name, "").model for each in want.refused)
    keep = {*want.models, *(pattern.model for pattern in want.patterns), *refused}
    ours = {*recorded.models, *(Pattern(name, "").model for name in made)}
    return (
        *(Pull(name) for name in want.models if name not in there),
        *_creations(want, there, made),
        *(Remove(name) for name in sorted(ours - keep) if name in there),
        *(Remove(name) for name in sorted(outdated(want, there, recorded)) if cramped),
    )


def outdated(want: DesiredModels, there: Container[str], recorded: ManagedModels) -> frozenset[str]:
    """Models of patterns that the operator made of a base that they are not to have any more, as
    far as `there`. They are of use until the new base has come, and keep the weights of the old
    one."""
    if not want.models or want.models[0] in there:
        return frozenset()
    made = {name for name, _ in recorded.patterns}
    return frozenset(
        pattern.model
        for pattern in want.patterns
        if pattern.name in made and pattern.model in there
    )


def unmanaged_patterns(
    want: DesiredModels, there: Container[str], recorded: ManagedModels
) -> tuple[Pattern, ...]:
    """Patterns whose models are `there` though the operator does not remember to have made them: a
    person did, or it did itself and what it remembered went with a resource."""
    made = {name for name, _ in recorded.patterns}
    return tuple(
        pattern for pattern in want.patterns if pattern.model in there and pattern.name not in made
    )


def drop_patterns(want: DesiredModels, persons: Iterable[Pattern]) -> DesiredModels:
    """What is wanted, less the patterns whose names a person's own models have."""
    taken = frozenset(persons)
    refused = tuple(
        PatternStatus(
            each.name,
            ModelState.FAILED,
            message=f"pattern {each.name!r} is not made, for there is a model {each.model} that "
            "the operator did not make; remove that model in Open WebUI, and the pattern is made "
            "within about ten minutes, or take the pattern out of spec.patterns",
        )
        for each in want.patterns
        if each in taken
    )
    patterns = tuple(each for each in want.patterns if each not in taken)
    return replace(want, patterns=patterns, refused=(*want.refused, *refused))


def _creations(
    want: DesiredModels, there: Mapping[str, PresentModel], made: Mapping[str, str]
) -> Iterable[Create]:
    base = there.get(want.models[0]) if want.models else None
    if base is None:
        return
    for pattern in want.patterns:
        revision = revision_of(pattern, base)
        if pattern.model not in there or made.get(pattern.name) != revision:
            yield Create(pattern, base.name, revision)


def revision_of(pattern: Pattern, base: PresentModel) -> str:
    """Changes with the prompt and with the base model."""
    text = "\n".join((base.name, base.digest, pattern.system))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def expected(want: DesiredModels, recorded: Iterable[ModelStatus]) -> tuple[ModelStatus, ...]:
    """The models to speak of before the server was asked: as recorded, else pending."""
    known = {model.name: model for model in recorded}
    listed = tuple(known.get(name, ModelStatus(name, ModelState.PENDING)) for name in want.models)
    leftover = tuple(
        replace(model, state=ModelState.REMOVING, message="")
        for model in known.values()
        if model.managed and model.name not in want.models
    )
    return (*listed, *leftover)
